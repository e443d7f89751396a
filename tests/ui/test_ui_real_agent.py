"""The app over the real agent, memory, transcript and registry; only the engine is the echo."""

import json
from typing import Any

from real_stage import write_molt

from distill.registry import Registry
from memory.transcripts.read import read_transcript
from molting_agent.runtime.echo import EchoEngine
from molting_agent.runtime.models import EMBEDDED_SHA256


async def test_a_turn_is_on_disk_with_its_rating_and_edit(real: Any) -> None:
    async with real() as s:
        await s.ask("who are you?")
        await s.until(lambda: s.replies and not s.replies[0].streaming)
        assert s.replies[0].text == "I see."
        await s.pilot.press("alt+up", "plus")
        await s.until(lambda: s.replies[0].rating == 1)
        await s.pilot.press("e")
        await s.pilot.pause()
        s.app.screen.query_one("TextArea").text = "I am Cláudio."
        await s.pilot.press("ctrl+s")
        await s.until(lambda: s.replies[0].edited)
        path = s.app.agent.session.path
        turns = read_transcript(path).turns
        assert [turn.final_text for turn in turns] == ["who are you?", "I am Cláudio."]
        assert turns[1].approved is True
        assert json.loads(path.read_text().splitlines()[0])["version"] == 3


async def test_what_is_remembered_is_recalled_cited_and_forgotten(real: Any) -> None:
    async with real() as s:
        await s.ask("/remember The printer upstairs is called Gutenberg")
        await s.until(lambda: s.notes)
        assert s.notes[0].startswith("remembered in MEMORY.md:")
        await s.ask("/recall printer upstairs")
        await s.until(lambda: len(s.notes) == 2)
        assert "The printer upstairs is called Gutenberg" in s.notes[1]
        memory_id = s.notes[1].split()[0]
        await s.ask("what is the printer upstairs called?")
        await s.until(lambda: s.replies and not s.replies[0].streaming)
        assert any("Gutenberg" in memory.text for memory in s.replies[0].memories)
        found = next(memory for memory in s.replies[0].memories if "Gutenberg" in memory.text)
        assert found.id.startswith(memory_id)
        await s.ask(f"/forget {memory_id}")
        await s.until(lambda: len(s.notes) == 3)
        assert s.notes[2].startswith("removed from MEMORY.md:")
        assert "Gutenberg" not in s.app.home.memory_file.read_text()


async def test_conversations_are_resumed_with_their_memories(real: Any) -> None:
    async with real() as s:
        await s.ask("/remember The printer upstairs is called Gutenberg")
        await s.until(lambda: s.notes)
        await s.ask("what is the printer upstairs called?")
        await s.until(lambda: s.replies and not s.replies[0].streaming)
        first = s.app.agent.session.id
        await s.ask("/new")
        await s.until(lambda: s.app.agent.session.id != first)
        await s.ask("/resume")
        await s.until(lambda: s.replies)
        assert s.app.agent.session.id == first
        assert any("Gutenberg" in memory.text for memory in s.replies[0].memories)


async def test_a_promotion_from_outside_is_shown_between_turns(real: Any) -> None:
    async with real() as s:
        speaking = s.app.agent.status.molt
        write_molt(s.app.home, 7)
        s.chat.prompt.put("half a thought")
        Registry(s.app.home.molts_dir).promote(7, EMBEDDED_SHA256)
        await s.until(lambda: s.chat.header.molt == 7)
        assert "From here on molt 7 speaks." in s.notes[-1]
        assert s.chat.prompt.text == "half a thought"
        assert s.engine.adapter == s.app.home.molts_dir / "0007" / "adapter.gguf"
        s.chat.prompt.clear()
        await s.ask("/rollback")
        await s.until(lambda: s.chat.header.molt == speaking)


async def test_a_dying_engine_costs_a_line_and_not_the_chat(real: Any) -> None:
    engine = EchoEngine("one two three")
    async with real(engine) as s:
        engine.fail_next = True
        await s.ask("hello")
        await s.until(lambda: s.replies and not s.replies[0].streaming)
        assert s.replies[0].text == "one two three"
        assert any("once more" in note for note in s.notes)


async def test_the_theme_is_kept_for_the_next_time(real: Any) -> None:
    async with real() as s:
        await s.ask("/theme light")
        await s.until(lambda: s.app.home.config_file.exists() and "molting-light" in s.app.home.config_file.read_text())
