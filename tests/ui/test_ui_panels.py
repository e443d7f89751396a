"""The screens over the real home: conversations, memory, ingest, identity, settings, each doing its work on disk."""

import json
from pathlib import Path
from typing import Any

from textual.widgets import Input, OptionList, Static, TextArea

from molting_agent.config import load_config
from molting_agent.ui.screens.ask_line import AskLine
from molting_agent.ui.screens.confirm import Confirm
from molting_agent.ui.screens.identity import IdentityScreen
from molting_agent.ui.screens.ingest import IngestScreen
from molting_agent.ui.screens.memories import MemoryScreen
from molting_agent.ui.screens.sessions import SessionsScreen
from molting_agent.ui.screens.settings import SettingsScreen


def options(s: Any) -> list[str]:
    listing = s.app.screen.query_one(OptionList)
    return [str(listing.get_option_at_index(index).prompt) for index in range(listing.option_count)]


def said(s: Any) -> str:
    return str(s.app.screen.query_one("#said", Static).render())


async def fill_line(s: Any, text: str) -> None:
    """Answer the question that is open with one line."""
    await s.until(lambda: isinstance(s.app.screen, AskLine))
    s.app.screen.query_one(Input).value = text
    await s.pilot.press("enter")


async def test_a_conversation_is_found_by_what_was_said_in_it_renamed_and_written(real: Any, tmp_path: Path) -> None:
    async with real() as s:
        await s.ask("is the router named Farol?")
        s.chat.new_session()
        await s.until(lambda: not s.questions)
        await s.ask("what is for dinner")
        await s.pilot.press("f4")
        await s.until(lambda: isinstance(s.app.screen, SessionsScreen) and len(options(s)) == 2)
        s.app.screen.query_one(Input).value = "farol router"
        await s.until(lambda: len(options(s)) == 1 and "you: is the router" in options(s)[0])
        assert "1 place" in said(s)
        await s.pilot.press("ctrl+r")
        await fill_line(s, "The lighthouse \x1b[31mrouter")
        await s.until(lambda: any("The lighthouse router" in line for line in options(s)))
        target = tmp_path / "talk.md"
        target.write_text("old")
        await s.pilot.press("ctrl+e")
        await fill_line(s, str(target))
        await s.until(lambda: isinstance(s.app.screen, Confirm))
        assert target.read_text() == "old"
        await s.pilot.press("down", "enter")
        await s.until(lambda: "2 turns" in said(s))
        assert target.read_text().startswith("# The lighthouse router\n\n## You\n\nis the router named Farol?")
        await s.pilot.press("enter")
        await s.until(lambda: s.app.screen is s.chat and s.questions and "Farol" in s.questions[0].text)
        assert s.app.agent.session.title == "The lighthouse router"


async def test_an_entry_is_corrected_where_it_stands_and_shown_among_its_lines(real: Any) -> None:
    async with real() as s:
        home = s.app.home
        before = home.memory_file.read_text()
        await s.pilot.press("f2")
        await s.until(lambda: isinstance(s.app.screen, MemoryScreen) and options(s))
        s.app.screen.query_one(Input).value = "Baleia"
        await s.until(lambda: len(options(s)) < 8 and options(s))
        one = s.app.screen.current
        number = int(one.citation.rpartition(":")[2].partition("-")[0])
        await s.pilot.press("ctrl+o")
        text = s.app.screen.query_one("#text", Static)
        await s.until(lambda: str(home.memory_file) in str(text.render()))
        assert f"> {number:>4}  " in str(text.render())
        await s.pilot.press("ctrl+e")
        await s.pilot.pause()
        s.app.screen.query_one(TextArea).text = "Baleia is the disk, and it is new."
        await s.pilot.press("ctrl+s")
        await s.until(lambda: any(note.startswith("corrected in MEMORY.md") for note in s.notes))
        lines, old = home.memory_file.read_text().splitlines(), before.splitlines()
        assert lines[number - 1] == "- Baleia is the disk, and it is new."
        assert lines[: number - 1] == old[: number - 1]
        await s.until(lambda: any("it is new" in line for line in options(s)))


async def test_what_was_said_in_a_conversation_is_not_edited_as_a_file(real: Any) -> None:
    async with real() as s:
        await s.ask("the zanzibar parcel arrived")
        await s.pilot.press("f2")
        await s.until(lambda: isinstance(s.app.screen, MemoryScreen))
        s.app.agent.memory.sync()
        s.app.screen.query_one(Input).value = "zanzibar parcel"
        await s.until(lambda: options(s) and s.app.screen.current.conversation)
        await s.pilot.press("ctrl+e")
        assert "in a conversation" in said(s)
        await s.pilot.press("ctrl+o")
        text = s.app.screen.query_one("#text", Static)
        await s.until(lambda: "> user: the zanzibar parcel arrived" in str(text.render()))


async def test_ingest_looks_first_and_reads_in_only_what_was_looked_at(real: Any, tmp_path: Path) -> None:
    async with real() as s:
        log = tmp_path / "logs" / "one.json"
        log.parent.mkdir()
        talk = [{"from": "human", "value": "Where is the quokka?"}, {"from": "gpt", "value": "On the island."}]
        log.write_text(json.dumps([{"id": "q1", "conversations": talk}]))
        (log.parent / "note\x1b[2J.md").write_text("- the ladder is in the shed\n")
        await s.pilot.press("f5")
        await s.until(lambda: isinstance(s.app.screen, IngestScreen))
        await s.pilot.press("ctrl+s")
        assert "Look first" in said(s)
        s.app.screen.query_one(Input).value = str(tmp_path / "nowhere")
        await s.pilot.press("enter")
        assert "no such file or folder" in said(s)
        s.app.screen.query_one(Input).value = f"'{log.parent}'"
        await s.pilot.press("enter")
        await s.until(lambda: "Nothing was changed yet" in said(s))
        table = str(s.app.screen.query_one("#text", Static).render())
        assert "sharegpt 1" in table
        assert s.app.agent.memory.recall("quokka") == []
        await s.pilot.press("ctrl+s")
        await s.until(lambda: said(s) == "Read in.")
        assert "quokka" in s.app.agent.memory.recall("quokka")[0].text
        assert s.notes[-1].startswith("Read in: 1 conversations")
        await s.pilot.press("ctrl+s")
        assert "Look first" in said(s)


async def test_identity_is_read_edited_and_compared(real: Any, monkeypatch: Any) -> None:
    async with real() as s:
        await s.pilot.press("f6")
        await s.until(lambda: isinstance(s.app.screen, IdentityScreen))
        text = s.app.screen.query_one("#text", Static)
        await s.until(lambda: "SOUL" in said(s))
        assert len(options(s)) == 5
        await s.pilot.press("d")
        await s.until(lambda: "Nothing has changed" in str(text.render()))
        await s.pilot.press("down", "down", "e")
        await s.until(lambda: s.app.screen.query(TextArea))
        s.app.screen.query_one(TextArea).text = "# USER\n\n- Name: Ana"
        await s.pilot.press("ctrl+s")
        await s.until(lambda: "+- Name: Ana" in str(text.render()))
        assert (s.app.home.identity_dir / "USER.md").read_text() == "# USER\n\n- Name: Ana\n"
        monkeypatch.delenv("EDITOR", raising=False)
        monkeypatch.delenv("VISUAL", raising=False)
        await s.pilot.press("ctrl+g")
        assert "$EDITOR is not set" in said(s)


async def test_settings_are_explained_checked_and_written(real: Any) -> None:
    async with real() as s:
        await s.pilot.press("f7")
        await s.until(lambda: isinstance(s.app.screen, SettingsScreen) and options(s))
        screen = s.app.screen
        keys = [one.key for one in screen.settings]
        screen.query_one(OptionList).highlighted = keys.index("model.temperature")
        await s.pilot.pause()
        assert "always takes the most probable word" in str(screen.query_one("#text", Static).render())
        await s.pilot.press("enter")
        await fill_line(s, "9")
        await s.until(lambda: "must be a number" in said(s))
        assert load_config(s.app.home).model.temperature == 0.7
        await s.pilot.press("enter")
        await fill_line(s, "0.2")
        await s.until(lambda: "from the next start" in said(s))
        assert load_config(s.app.home).model.temperature == 0.2
        assert options(s)[keys.index("model.temperature")].startswith("* ")
        await s.pilot.press("d")
        await s.until(lambda: load_config(s.app.home).model.temperature == 0.7)
