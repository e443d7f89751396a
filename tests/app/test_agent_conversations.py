"""Conversations around the turns: verdicts, torn lines, lists, the index, threads."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from agent_talk import say

from memory.errors import MemoryStoreError, UsageError
from memory.transcripts.read import read_transcript
from molting_agent.events import (
    Event,
    Notice,
    ReplyFinished,
)

if TYPE_CHECKING:
    from tests.app.conftest import Stage


def test_ratings_and_edits_are_kept_and_read_back(stage: "Stage") -> None:
    agent = stage.agent()
    first, second = say(agent, "one").message_id, say(agent, "two").message_id
    agent.rate(first, 1)
    agent.edit(second, "a better two")
    say(agent, "three")
    assert "a better two" in stage.prompt()
    later = stage.agent()
    later.resume(agent.session.id[:8])
    turns = {turn.message_id: turn for turn in later.session.turns}
    assert (turns[first].rating, turns[first].edited) == (1, False)
    assert (turns[second].text, turns[second].edited) == ("a better two", True)
    agent.rate(first, 0)
    later.resume("last")
    assert {turn.message_id: turn.rating for turn in later.session.turns}[first] == 0


def test_only_replies_of_this_conversation_can_be_judged(stage: "Stage") -> None:
    agent = stage.agent()
    say(agent, "one")
    question = agent.session.turns[0].message_id
    for judge in (lambda: agent.rate(question, 1), lambda: agent.edit("nowhere", "x"), lambda: agent.rate("x", 5)):
        with pytest.raises(UsageError):
            judge()


def test_a_torn_last_line_is_set_aside_and_said(stage: "Stage") -> None:
    agent = stage.agent()
    say(agent, "one")
    path = agent.session.path or Path()
    with path.open("ab") as file:
        file.write(b'{"type":"message","id":"dead')
    later = stage.agent()
    (notice,) = later.resume("last")
    assert "torn" in notice.text
    assert notice.severity == "warning"
    say(later, "two")
    assert [t.text for t in read_transcript(path).turns] == ["one", "I see.", "two", "I see."]


def test_conversations_are_listed_newest_first_and_found_by_the_beginning_of_their_id(stage: "Stage") -> None:
    agent = stage.agent()
    say(agent, "an old\x1b[31m question " + "very " * 30 + "long")
    old = agent.session.id
    agent.new_session()
    assert agent.session.turns == []
    (stage.home.sessions_dir / "2000-01-01T00-00-00_notalog0.jsonl").write_text("nonsense\n")
    say(agent, "a new question")
    listed = {summary.id: summary for summary in agent.sessions()}
    assert set(listed) == {old, agent.session.id}
    assert listed[old].title.startswith("an old question very")
    assert len(listed[old].title) <= 60
    assert listed[old].turns == 2
    agent.resume(old[:6])
    assert agent.session.id == old
    for wrong in ("ffffffffffff", "", "../etc"):
        with pytest.raises(UsageError):
            agent.resume(wrong)


def test_status_follows_the_turns(stage: "Stage") -> None:
    stage.memory.memories["m1"] = stage.remembered("m1", "something")
    stage.memory.answer = ["m1"]
    agent = stage.agent()
    finished = say(agent, "hello")
    assert agent.model is not None
    assert agent.status.model_name == agent.model.name
    assert agent.status.context_used == finished.prompt_tokens + finished.reply_tokens
    assert agent.status.memories_shown == 1
    assert agent.status.context_tokens == stage.engine.info.context_tokens
    agent.new_session()
    assert agent.status.context_used == 0


def test_a_new_exchange_is_indexed_without_holding_the_turn(stage: "Stage", monkeypatch: pytest.MonkeyPatch) -> None:
    release, filled = threading.Event(), threading.Event()
    monkeypatch.setattr(stage.memory, "fill_vectors", lambda _: (release.wait(10), filled.set(), 0)[2])
    agent = stage.agent()
    say(agent, "hello")  # returns although the vectors are still being made
    assert not filled.is_set()
    release.set()
    assert filled.wait(10)
    assert stage.memory.syncs >= 2


def test_open_warms_the_fixed_prefix(stage: "Stage", monkeypatch: pytest.MonkeyPatch) -> None:
    warmed: list[list[Any]] = []
    monkeypatch.setattr(stage.engine, "warm", warmed.append)
    agent = stage.agent()
    assert agent.open() == []
    say(agent, "hello")
    (prefix,) = warmed
    assert stage.engine.requests[0][: len(prefix)] == prefix


def test_the_callers_thread_may_change_between_events(stage: "Stage") -> None:
    agent = stage.agent()
    turn = agent.turn("hello there")
    events: list[Event] = []

    def step() -> None:
        if (event := next(turn, None)) is not None:
            events.append(event)

    for _ in range(10):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert isinstance(events[-1], ReplyFinished)


def test_an_index_that_cannot_be_written_is_said_at_the_next_turn(
    stage: "Stage", monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise MemoryStoreError("memory.db is locked")

    agent = stage.agent()
    monkeypatch.setattr(stage.memory, "sync", fails)
    say(agent, "one")
    agent.close()
    events = list(agent.turn("two"))
    assert any(isinstance(event, Notice) and "memory.db is locked" in event.text for event in events)
    assert isinstance(events[-1], ReplyFinished)
