"""What broke in a first week of use: screens closed too early, lists without a cursor, histories with a gap."""

import queue
import threading
from typing import Any

import pytest
from fake_agent import FakeAgent
from textual.filter import NoColor
from textual.widgets import OptionList, Static

from molting_agent.events import ToolFinished
from molting_agent.session import SessionTurn
from molting_agent.session_search import FoundTurn
from molting_agent.tools.acting import Proposal
from molting_agent.tools.results import ToolUse
from molting_agent.ui.header import HeaderLine
from molting_agent.ui.history import History
from molting_agent.ui.messages import ConsentAsked
from molting_agent.ui.screens.keys_line import keys_text


class SlowAgent(FakeAgent):
    """Its search answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = threading.Event()
        self.answered = threading.Event()

    def search_sessions(self, query: str) -> list[FoundTurn]:
        self.may_answer.wait(10)
        self.answered.set()
        return super().search_sessions(query)


async def test_an_answer_for_a_screen_that_was_closed_meanwhile_is_dropped(stage: Any) -> None:
    agent = SlowAgent()
    async with stage(agent) as s:
        await s.pilot.press("f4")
        await s.pilot.press("f7")
        await s.until(lambda: s.app.screen.query("#said"))
        agent.may_answer.set()
        await s.until(agent.answered.is_set)
        await s.pilot.pause(0.1)
        await s.pilot.press("escape")
        await s.ask("still here?")
        assert s.replies


async def test_a_screen_opened_before_he_is_there_fills_once_he_is(stage: Any) -> None:
    agent = FakeAgent()
    async with stage(agent) as s:
        s.app.agent = None
        await s.pilot.press("f2")
        await s.until(lambda: "waking up" in str(s.app.screen.query_one("#said", Static).render()))
        s.app.agent = agent
        s.app._made()
        await s.until(lambda: s.app.screen.query_one(OptionList).option_count == 2)


async def test_until_he_can_answer_the_header_and_the_queue_say_that_he_wakes_up(stage: Any) -> None:
    agent = FakeAgent()
    agent.can_open.clear()
    async with stage(agent, ready=False) as s:
        await s.until(lambda: s.app.agent is not None)
        await s.pilot.pause(0.2)
        assert "waking up" in s.chat.query_one(HeaderLine).render().plain
        s.chat.prompt.put("hello")
        s.chat.prompt.action_send()
        await s.until(lambda: "he is still waking up; Up takes the last one back" in s.screen_text())
        agent.can_open.set()
        await s.until(lambda: s.replies and "molt 1" in s.chat.query_one(HeaderLine).render().plain)
        assert "waking up" not in s.screen_text()


async def test_what_tools_gave_is_folded_and_shown(stage: Any) -> None:
    async with stage() as s:
        await s.chat.show_event(ToolFinished(ToolUse("t1", "read_file", {"path": "notes.txt"}, "one\ntwo")))
        await s.until(lambda: "two" in s.screen_text())
        await s.pilot.press("ctrl+o")
        await s.until(lambda: "two" not in s.screen_text())
        assert "read_file notes.txt" in s.screen_text()
        await s.pilot.press("ctrl+o")
        await s.until(lambda: "two" in s.screen_text())


async def test_what_he_thought_aloud_is_shown_when_it_is_asked_for(stage: Any) -> None:
    agent = FakeAgent()
    use = ToolUse("t1", "read_file", {"path": "notes.txt"}, "12 percent")
    agent.stored["s1"] = [
        SessionTurn("u1", "user", "is it ok?"),
        SessionTurn("a1", "assistant", "No.", 1, uses=(use,), thinking="The line is\x1b[2J 15."),
    ]
    async with stage(agent) as s:
        await s.pilot.press("ctrl+t")
        await s.pilot.press("ctrl+t")
        s.chat.resume("s1")
        await s.until(lambda: "No." in s.screen_text())
        assert "read_file notes.txt" in s.screen_text()
        assert "The line is 15." not in s.screen_text()
        await s.pilot.press("ctrl+t")
        await s.until(lambda: "The line is 15." in s.screen_text())


async def test_opening_the_memories_keeps_their_line_in_view(stage: Any) -> None:
    agent = FakeAgent()
    agent.memory.memories = agent.memory.memories * 8
    async with stage(agent, size=(60, 20)) as s:
        await s.ask("hello")
        await s.pilot.press("alt+up", "enter")
        await s.until(lambda: "▾ 2 memories" in s.screen_text())


def test_older_turns_join_on_where_upper_blocks_were_taken_away() -> None:
    turns = [SessionTurn(f"m{n}", "user", str(n)) for n in range(100)]
    history = History.above(turns, "m50")
    assert [turn.text for turn in history.earlier()] == [str(n) for n in range(20, 50)]
    assert history.has_earlier
    assert not History.above(turns, "unknown").has_earlier


async def test_without_colour_the_line_under_the_cursor_is_still_told(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage() as s:
        await s.ask("/theme ansi")
        await s.pilot.press("f2")
        await s.until(lambda: s.app.screen.query_one(OptionList).option_count == 2)
        await s.pilot.press("down")
        assert [type(one) for one in s.app.get_line_filters()] == [NoColor]
        listing = s.app.screen.query_one(OptionList)
        lines = [listing.render_line(row) for row in range(2)]
        underlined = [any(segment.style and segment.style.underline for segment in line) for line in lines]
        assert underlined == [True, False]


def test_a_short_line_of_keys_keeps_the_way_back() -> None:
    keys = [("p", "let it speak"), ("b", "roll back"), ("c", "compare"), ("Esc", "back")]
    assert keys_text(keys, 80).plain == "p let it speak   b roll back   c compare   Esc back"
    assert keys_text(keys, 48).plain == "p let it speak  b roll back  c compare  Esc back"
    assert keys_text(keys, 40).plain == "p let it speak  b roll back  Esc back"
    assert keys_text(keys, 10).plain == "p let it speak  Esc back"


async def test_a_long_action_never_pushes_the_answers_off_a_small_screen(stage: Any) -> None:
    async with stage(size=(60, 20)) as s:
        action = "\n".join(f"line {number} of what would be written" for number in range(80))
        asked = ConsentAsked(Proposal("write_file", action), queue.SimpleQueue())
        s.app.post_message(asked)
        await s.until(lambda: "PgDn reads on" in s.screen_text())
        for words in ("May he use write_file?", "line 0 ", "No", "Yes, this once", "until I leave"):
            assert words in s.screen_text()
        await s.pilot.press("pagedown")
        await s.until(lambda: "line 0 " not in s.screen_text())
        await s.pilot.press("enter")
        assert asked.answer.get(timeout=5) == "no"
