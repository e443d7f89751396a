"""The screens beside the chat: conversations, memory, molts, help, palette."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fake_agent import FakeAgent, memory_of
from textual.binding import Binding
from textual.command import CommandPalette
from textual.widgets import Input, Markdown, OptionList, Static

from molting_agent.session import SessionTurn
from molting_agent.ui.commands.registry import commands
from molting_agent.ui.screens.confirm import Confirm
from molting_agent.ui.screens.help import HelpScreen
from molting_agent.ui.screens.memories import MemoryScreen
from molting_agent.ui.screens.molts import MoltsScreen
from molting_agent.ui.screens.sessions import SessionsScreen


def with_sessions() -> FakeAgent:
    agent = FakeAgent()
    for name, text in (("s1", "is baleia ok"), ("s2", "what did the vet say"), ("s3", "um nome para o script")):
        agent.stored[name] = [SessionTurn("u1", "user", text)]
    return agent


def options(s: Any) -> list[str]:
    listing = s.app.screen.query_one(OptionList)
    return [str(listing.get_option_at_index(index).prompt) for index in range(listing.option_count)]


async def test_sessions_are_listed_found_and_resumed(stage: Any) -> None:
    async with stage(with_sessions()) as s:
        await s.pilot.press("f4")
        await s.until(lambda: isinstance(s.app.screen, SessionsScreen) and len(options(s)) == 3)
        await s.type("vet")
        await s.until(lambda: len(options(s)) == 1)
        assert "what did the vet say" in options(s)[0]
        await s.pilot.press("enter")
        await s.until(lambda: s.agent.resumed == ["s2"])
        await s.until(lambda: s.app.screen is s.chat and s.questions)
        assert s.questions[0].text == "what did the vet say"


async def test_sessions_screen_walks_to_its_list_and_begins_new_ones(stage: Any) -> None:
    async with stage(with_sessions()) as s:
        await s.pilot.press("f4")
        await s.until(lambda: isinstance(s.app.screen, SessionsScreen) and len(options(s)) == 3)
        await s.pilot.press("down", "down", "enter")
        await s.until(lambda: s.agent.resumed == ["s2"])
        await s.pilot.press("f4")
        await s.until(lambda: isinstance(s.app.screen, SessionsScreen))
        await s.pilot.press("ctrl+n")
        await s.until(lambda: s.agent.session.id == "s-new")
        assert s.app.screen is s.chat


async def test_memory_is_searched_read_and_forgotten_after_a_question(stage: Any) -> None:
    async with stage() as s:
        await s.pilot.press("f2")
        await s.until(lambda: isinstance(s.app.screen, MemoryScreen) and len(options(s)) == 2)
        s.app.screen.query_one(Input).value = "backups"
        await s.until(lambda: len(options(s)) == 1)
        text = str(s.app.screen.query_one("#text", Static).render())
        assert "MEMORY.md:13" in text
        assert "m0000013" in text
        await s.pilot.press("ctrl+d")
        await s.until(lambda: isinstance(s.app.screen, Confirm))
        await s.pilot.press("enter")  # the first answer keeps it
        await s.until(lambda: isinstance(s.app.screen, MemoryScreen))
        assert s.agent.forgotten == []
        await s.pilot.press("ctrl+d")
        await s.until(lambda: isinstance(s.app.screen, Confirm))
        await s.pilot.press("down", "enter")
        await s.until(lambda: s.agent.forgotten == ["m0000013"])
        await s.until(lambda: options(s) == [])
        await s.pilot.press("escape")
        assert s.notes[0].startswith("removed from MEMORY.md:14")


async def test_an_empty_memory_says_how_to_fill_it(stage: Any) -> None:
    agent = FakeAgent()
    agent.memory.memories = []
    async with stage(agent) as s:
        await s.pilot.press("f2")
        await s.until(lambda: "/remember" in str(s.app.screen.query_one("#said", Static).render()))


def with_molts(folder: Path) -> FakeAgent:
    agent = FakeAgent()
    for number, verdict in ((1, "promoted"), (2, "rejected")):
        path = folder / f"{number:04d}"
        path.mkdir()
        agent.molts.append(
            SimpleNamespace(
                number=number, path=path, verdict=verdict, created_at="2026-11-20T10:00:00Z", title=f"t{number}"
            )
        )
    (folder / "0001" / "report.md").write_text("# Molt 1\n\nbits per byte 1.298\x1b[31m\n")
    return agent


async def test_molts_show_their_reports_and_speak_when_promoted(stage: Any, tmp_path: Path) -> None:
    async with stage(with_molts(tmp_path)) as s:
        await s.pilot.press("f3")
        await s.until(lambda: isinstance(s.app.screen, MoltsScreen) and len(options(s)) == 3)
        assert "2 × rejected" in options(s)[0]
        assert "●   1 ✓ promoted" in options(s)[1]
        await s.until(lambda: "1.298" in s.app.screen.query_one(Markdown).source)
        assert "\x1b" not in s.app.screen.query_one(Markdown).source
        await s.pilot.press("up")
        await s.until(lambda: "report.md is missing" in s.app.screen.query_one(Markdown).source)
        await s.pilot.press("p")
        await s.until(lambda: s.notes == ["molt 1 → molt 2   From here on molt 2 speaks."])
        await s.until(lambda: s.chat.query_one("#header").molt == 2)
        await s.pilot.press("f3")
        await s.until(lambda: isinstance(s.app.screen, MoltsScreen) and len(options(s)) == 3)
        await s.pilot.press("b")
        await s.until(lambda: s.notes[-1] == "molt 2 → molt 1   From here on molt 1 speaks.")


async def test_help_names_every_command_and_every_named_key(stage: Any) -> None:
    async with stage() as s:
        await s.pilot.press("f1")
        await s.until(lambda: isinstance(s.app.screen, HelpScreen))
        page = "\n".join(str(static.render()) for static in s.app.screen.query(Static))
        for command in commands().values():
            assert command.usage in page
            assert command.summary in page
        for binding in [*s.chat.BINDINGS, *s.app.BINDINGS, *s.chat.prompt.BINDINGS]:
            assert isinstance(binding, Binding)
            assert binding.id, binding
            assert binding.description in page
        assert "Enter" in page
        assert "Alt+Up" in page


async def test_function_keys_change_and_close_screens(stage: Any) -> None:
    async with stage() as s:
        await s.pilot.press("f2", "f3")
        await s.pilot.pause()
        assert isinstance(s.app.screen, MoltsScreen)
        assert len(s.app.screen_stack) == 2
        await s.pilot.press("f3")
        await s.pilot.pause()
        assert s.app.screen is s.chat
        await s.pilot.press("f1", "escape")
        await s.pilot.pause()
        assert s.app.screen is s.chat


async def test_palette_runs_commands_and_completes_those_that_need_words(stage: Any) -> None:
    async with stage() as s:
        await s.pilot.press("ctrl+p")
        await s.until(lambda: isinstance(s.app.screen, CommandPalette))
        await s.type("remember")
        await s.pilot.pause(0.5)
        await s.pilot.press("enter")
        await s.until(lambda: s.app.screen is s.chat and s.chat.prompt.text == "/remember ")
        s.chat.prompt.clear()
        await s.pilot.press("ctrl+p")
        await s.until(lambda: isinstance(s.app.screen, CommandPalette))
        await s.type("molts verdicts")
        await s.pilot.pause(0.5)
        await s.pilot.press("enter")
        await s.until(lambda: isinstance(s.app.screen, MoltsScreen))


async def test_screens_before_he_is_awake_say_so(stage: Any) -> None:
    async with stage() as s:
        s.app.agent = None
        for key in ("f2", "f3", "f4"):
            await s.pilot.press(key)
            await s.pilot.pause()
            assert "waking up" in str(s.app.screen.query_one("#said", Static).render())
            await s.pilot.press("escape")


async def test_untrusted_marks_are_shown_in_the_list(stage: Any) -> None:
    agent = FakeAgent()
    agent.memory.memories = [memory_of(5, "from a log", trust="untrusted", label="private")]
    async with stage(agent) as s:
        await s.pilot.press("f2")
        await s.until(lambda: isinstance(s.app.screen, MemoryScreen) and len(options(s)) == 1)
        assert "private" in options(s)[0]
        assert "untrusted" in options(s)[0]
