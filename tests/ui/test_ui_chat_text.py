"""The chat screen over time: long conversations, restarts, swaps, hostile text, links."""

from typing import Any

import pytest
from fake_agent import FakeAgent, memory_of
from textual.widgets import Markdown

from molting_agent.events import ContextTrimmed, Notice, ReplyDelta, ReplyStarted, Swapped, UserSaved
from molting_agent.session import SessionTurn
from molting_agent.ui.screens.confirm import Confirm


async def test_a_long_conversation_opens_at_its_end_and_older_turns_come_when_wanted(stage: Any) -> None:
    agent = FakeAgent()
    agent.stored["long"] = [SessionTurn(f"u{i}", "user", f"question {i}") for i in range(2000)]
    async with stage(agent) as s:
        await s.ask("/resume long")
        await s.until(lambda: len(s.questions) == 40)
        assert s.questions[-1].text == "question 1999"
        s.chat.conversation.scroll_home(animate=False)
        await s.until(lambda: len(s.questions) == 70)
        assert s.questions[0].text == "question 1930"


async def test_the_number_of_blocks_is_bounded(stage: Any) -> None:
    async with stage() as s:
        for number in range(200):
            await s.chat.note(f"note {number}")
        assert len(s.chat.conversation.blocks) <= 160
        assert s.notes[-1] == "note 199"
        assert s.chat.conversation.has_earlier


async def test_events_of_a_restarted_engine_begin_the_reply_anew(stage: Any) -> None:
    async with stage() as s:
        for event in (
            UserSaved("u1", "hi"),
            ReplyStarted("a1", 1),
            ReplyDelta("half a re"),
            Notice("the engine died; he is asked once more", "warning"),
            ReplyStarted("a1", 1),
            ReplyDelta("whole"),
        ):
            await s.chat.show_event(event)
        assert s.replies[0].text == "whole"
        await s.chat.show_event(ContextTrimmed(6, 5))
        blocks = s.chat.conversation.blocks
        assert "oldest 6 turns" in blocks[blocks.index(s.replies[0]) - 1].text
        await s.chat.turn_ended("")
        assert not s.replies[0].streaming


async def test_a_swap_keeps_draft_and_place(stage: Any) -> None:
    async with stage(FakeAgent(replies=["word " * 300]), size=(80, 20)) as s:
        await s.ask("first")
        s.chat.prompt.put("half a thought")
        await s.pilot.press("pageup")
        await s.until(lambda: not s.chat.conversation.at_end)
        place = s.chat.conversation.scroll_offset.y
        s.agent.swaps.append([Swapped(1, 2)])
        await s.until(lambda: s.notes)
        assert s.notes == ["molt 1 → molt 2   From here on molt 2 speaks."]
        assert s.chat.prompt.text == "half a thought"
        assert s.chat.conversation.scroll_offset.y == place


async def test_trouble_while_polling_is_said_once(stage: Any) -> None:
    async with stage() as s:
        s.agent.trouble = "molts/current is damaged"
        s.app.tick()
        await s.until(lambda: s.notes)
        s.app.tick()
        await s.until(lambda: not s.app._ticking)
        assert s.notes == ["molts/current is damaged"]


HOSTILE = "[bold red]x[/] \x1b]52;c;aGk=\x07 \x9b31m \u202egnp.exe <b>kept</b> [link=file:///x]y[/link]"


async def test_hostile_text_stays_text_everywhere(stage: Any) -> None:
    agent = FakeAgent(replies=[HOSTILE])
    agent.memory.memories = [memory_of(1, HOSTILE, citation=HOSTILE, heading=HOSTILE)]
    agent.stored["h"] = [SessionTurn("u", "user", HOSTILE)]
    async with stage(agent) as s:
        await s.ask(HOSTILE)
        await s.chat.note(HOSTILE, "error")
        await s.pilot.press("alt+up", "alt+up", "enter")
        shown = [s.app.export_screenshot()]
        assert "[bold red]x[/]" in s.questions[0].text
        assert "<b>kept</b>" in s.replies[0].text
        rendered = "".join(str(child.render()) for child in s.replies[0].query("MarkdownBlock"))
        assert "kept" in rendered
        await s.pilot.press("escape")
        for key in ("f2", "f4", "f3", "f1"):
            await s.pilot.press(key)
            await s.pilot.pause(0.3)
            shown.append(s.app.export_screenshot())
        for picture in shown:
            assert not any(byte in picture for byte in ("\x1b", "\x9b", "\x07", "\u202e"))


async def test_a_link_opens_only_after_its_address_was_shown(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    async with stage(FakeAgent(replies=["See [the manual](https://example.com/x) or [this](file:///etc/passwd)"])) as s:
        monkeypatch.setattr(s.app, "open_url", lambda url, **_: opened.append(url))
        await s.ask("hello")
        markdown = s.replies[0].query_one(Markdown)
        markdown.post_message(Markdown.LinkClicked(markdown, "https://example.com/x"))
        await s.until(lambda: isinstance(s.app.screen, Confirm))
        assert opened == []
        await s.pilot.press("enter")  # the first answer leaves it
        await s.until(lambda: s.app.screen is s.chat)
        assert opened == []
        markdown.post_message(Markdown.LinkClicked(markdown, "https://example.com/x"))
        await s.until(lambda: isinstance(s.app.screen, Confirm))
        await s.pilot.press("down", "enter")
        await s.until(lambda: opened == ["https://example.com/x"])
        markdown.post_message(Markdown.LinkClicked(markdown, "file:///etc/passwd"))
        await s.pilot.pause(0.1)
        assert s.app.screen is s.chat
        assert len(opened) == 1
