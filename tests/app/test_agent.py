"""A turn: its order, what is on disk when, what the model reads, and what happens when something breaks."""

import itertools
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from memory.errors import EngineError, MemoryStoreError, ModelError, UsageError
from memory.transcripts.read import read_transcript
from molting_agent.agent import Agent
from molting_agent.events import (
    ContextTrimmed,
    Event,
    MemoriesShown,
    Notice,
    ReplyDelta,
    ReplyFinished,
    ReplyStarted,
    UserSaved,
)

if TYPE_CHECKING:
    from tests.app.conftest import Stage


def say(agent: Agent, text: str, **options: Any) -> ReplyFinished:
    """One turn that must succeed."""
    events = list(agent.turn(text, **options))
    assert isinstance(events[-1], ReplyFinished), events
    return events[-1]


def kinds(events: list[Event]) -> list[type]:
    """The order of events, deltas counted once."""
    order: list[type] = []
    for event in events:
        if not (order and order[-1] is type(event) is ReplyDelta):
            order.append(type(event))
    return order


def lines_on_disk(agent: Agent) -> list[dict[str, Any]]:
    assert agent.session.path
    return [json.loads(line) for line in agent.session.path.read_text().splitlines()]


def test_a_turn_tells_its_steps_in_order(stage: "Stage") -> None:
    agent = stage.agent()
    stage.engine.reply = ""  # the words themselves
    events = list(agent.turn("good morning"))
    assert kinds(events) == [UserSaved, MemoriesShown, ReplyStarted, ReplyDelta, ReplyFinished]
    finished = events[-1]
    assert isinstance(finished, ReplyFinished)
    assert finished.text == "".join(event.text for event in events if isinstance(event, ReplyDelta)) == "good morning"
    assert finished.reason == "stop"
    assert [turn.role for turn in agent.session.turns] == ["user", "assistant"]
    assert agent.session.turns[1].message_id == finished.message_id


def test_the_words_are_on_disk_and_synced_before_recall_and_engine(
    stage: "Stage", monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    really_fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), really_fsync(descriptor))[1])
    seen: list[tuple[str, bool]] = []

    def look(step: str) -> None:
        (path,) = stage.home.sessions_dir.glob("*.jsonl")
        said = [t.text for t in read_transcript(path).turns]
        seen.append((step, said == ["remember the milk"] and len(synced) > 0))

    really_recall = stage.memory.recall
    monkeypatch.setattr(stage.memory, "recall", lambda *a, **k: (look("recall"), really_recall(*a, **k))[1])
    stage.engine.reply = lambda question: (look("engine"), "yes")[1]
    say(stage.agent(), "remember the milk")
    assert seen == [("recall", True), ("engine", True)]


def test_no_file_before_the_first_words(stage: "Stage") -> None:
    agent = stage.agent()
    agent.start()
    assert (agent.session.id, agent.session.path) == ("", None)
    assert not list(stage.home.sessions_dir.glob("*.jsonl"))


def test_a_reply_records_molt_base_model_and_memories(stage: "Stage") -> None:
    stage.memory = type(stage.memory)(
        stage.remembered("m1", "The backup runs at 03:20."), stage.remembered("m2", "Tea, not coffee.")
    )
    agent = stage.agent()
    finished = say(agent, "when?")
    assert [memory.id for memory in finished.memories] == ["m1", "m2"]
    reply = lines_on_disk(agent)[-1]["message"]
    assert agent.model is not None
    assert reply["molting"] == {"molt": 0, "base_sha256": agent.model.source_sha256, "memories": ["m1", "m2"]}
    assert reply["model"] == agent.model.name
    assert reply["usage"]["output"] == finished.reply_tokens
    (turn,) = [t for t in read_transcript(agent.session.path or Path()).turns if t.role == "assistant"]
    assert (turn.spoken_by, turn.shown_memories) == (0, ("m1", "m2"))


def test_identity_comes_first_and_memories_stay_beside_their_question(stage: "Stage") -> None:
    agent = stage.agent()
    stage.memory.memories["m1"] = stage.remembered("m1", "The backup runs at 03:20.")
    stage.memory.answer = ["m1"]
    say(agent, "when is the backup?")
    stage.memory.answer = []
    say(agent, "thanks")
    first, second = stage.prompt(0), stage.prompt(1)
    soul = (stage.home.identity_dir / "SOUL.md").read_text().strip()
    assert soul in first.split("when is the backup?")[0]
    assert first.index("03:20") < first.index("when is the backup?")
    assert second.startswith(first)
    assert "03:20" not in second.removeprefix(first)


def test_each_prompt_is_a_continuation_of_the_last_one(stage: "Stage") -> None:
    agent = stage.agent()
    for number in range(5):
        say(agent, f"question {number}")
    prompts = [stage.prompt(number) for number in range(5)]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(prompts))


def test_a_resumed_conversation_gives_the_same_prompt(stage: "Stage") -> None:
    stage.memory.memories = {f"m{n}": stage.remembered(f"m{n}", f"fact number {n}") for n in range(3)}
    going_on, after_restart = stage.agent(), stage.agent()
    for number in range(3):
        stage.memory.answer = [f"m{number}"]
        say(going_on, f"question {number}")
    after_restart.resume(going_on.session.id)
    copy = (going_on.session.path or Path()).read_bytes()
    stage.memory.answer = ["m0"]
    say(going_on, "and now?")
    (going_on.session.path or Path()).write_bytes(copy)
    say(after_restart, "and now?")
    assert stage.prompt(-1) == stage.prompt(-2)
    assert after_restart.session.title == "question 0"


def test_forgotten_memories_vanish_from_the_prompt(stage: "Stage") -> None:
    stage.memory.memories = {
        "m1": stage.remembered("m1", "the secret garden"),
        "m2": stage.remembered("m2", "an open field"),
    }
    stage.memory.answer = ["m1", "m2"]
    agent, later = stage.agent(), stage.agent()
    say(agent, "where?")
    stage.memory.answer = []
    agent.forget("m1")
    say(agent, "really?")
    assert "secret garden" not in stage.prompt()
    assert "open field" in stage.prompt()
    later.resume("last")
    say(later, "sure?")
    assert "secret garden" not in stage.prompt()


def test_the_running_conversation_is_not_recalled_into_itself(stage: "Stage") -> None:
    agent = stage.agent()
    say(agent, "first")
    assert stage.memory.asked == [("first", agent.session.id)]


def test_without_memory_nothing_is_asked_of_it(stage: "Stage") -> None:
    events = list(stage.agent().turn("hello", with_memory=False))
    assert MemoriesShown not in kinds(events)
    assert stage.memory.asked == []


@pytest.mark.parametrize("error", [MemoryStoreError("memory.db is damaged"), RuntimeError("boom\x1b[31m")])
def test_a_failing_memory_costs_a_notice_and_not_the_turn(stage: "Stage", error: Exception) -> None:
    stage.memory.error = error
    events = list(stage.agent().turn("hello"))
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.severity == "warning"
    assert "memory" in notice.text
    assert "\x1b" not in notice.text
    assert isinstance(events[-1], ReplyFinished)


def test_control_bytes_of_the_model_reach_nobody(stage: "Stage") -> None:
    stage.engine.reply = "red \x1b[31m and \x1b]52;c;AAAA \x07 done \u202e"
    finished = say(stage.agent(), "colour?")
    assert finished.text == "red  and  done"


def test_a_stopped_reply_is_kept_as_far_as_it_was_said(stage: "Stage") -> None:
    stage.engine.reply = "one two three four five"
    agent = stage.agent()
    events: list[Event] = []
    for event in agent.turn("count"):
        events.append(event)
        if isinstance(event, ReplyDelta) and "two" in event.text:
            agent.stop()
    finished = events[-1]
    assert isinstance(finished, ReplyFinished)
    assert (finished.text, finished.reason) == ("one two", "cancelled")
    (turn,) = [t for t in read_transcript(agent.session.path or Path()).turns if t.role == "assistant"]
    assert (turn.text, turn.stopped) == ("one two", True)


def test_a_caller_who_leaves_stops_the_reply_and_it_is_kept(stage: "Stage") -> None:
    stage.engine.reply = "one two three four five"
    agent = stage.agent()
    turn = agent.turn("count")
    for event in turn:
        if isinstance(event, ReplyDelta) and "three" in event.text:
            break
    turn.close()
    assert [t.text for t in agent.session.turns] == ["count", "one two three"]
    assert agent.session.turns[1].stopped
    assert say(agent, "again").reason == "stop"


def test_a_reply_stopped_before_its_first_word_is_not_shown_to_the_model(stage: "Stage") -> None:
    agent = stage.agent()
    for event in agent.turn("wrong question"):
        if isinstance(event, ReplyStarted):
            agent.stop()
    say(agent, "right question")
    assert stage.prompt().count("<|im_start|>user") == 1
    assert "wrong question\n\nright question" in stage.prompt()


def test_a_dying_engine_is_asked_once_more(stage: "Stage") -> None:
    stage.engine.reply = "one two three four"
    stage.engine.fail_next = True
    agent = stage.agent()
    events = list(agent.turn("count"))
    started = [event for event in events if isinstance(event, ReplyStarted)]
    assert len(started) == 2
    assert started[0] == started[1]
    assert any(isinstance(event, Notice) and "died" in event.text for event in events)
    assert isinstance(events[-1], ReplyFinished)
    assert events[-1].text == "one two three four"
    assert [t.text for t in agent.session.turns] == ["count", "one two three four"]


def test_an_engine_that_stays_dead_leaves_the_question_on_disk(stage: "Stage") -> None:
    def dies(_question: str) -> str:
        raise EngineError("the inference process died (signal 9)")

    stage.engine.reply = dies
    agent = stage.agent()
    events = list(agent.turn("are you there?"))
    assert isinstance(events[-1], Notice)
    assert events[-1].severity == "error"
    assert isinstance(agent.last_error, EngineError)
    assert [t.text for t in read_transcript(agent.session.path or Path()).turns] == ["are you there?"]
    stage.engine.reply = "yes"
    assert say(agent, "hello?").text == "yes"
    assert "are you there?\n\nhello?" in stage.prompt()


def test_a_missing_model_leaves_the_question_on_disk(stage: "Stage") -> None:
    agent = stage.agent(name="nowhere.gguf")
    events = list(agent.turn("hi"))
    assert isinstance(agent.last_error, ModelError)
    assert isinstance(events[-1], Notice)
    assert [t.text for t in agent.session.turns] == ["hi"]


def test_one_turn_at_a_time(stage: "Stage") -> None:
    agent = stage.agent()
    turn = agent.turn("first")
    next(turn)
    with pytest.raises(UsageError, match="under way"):
        next(agent.turn("second"))
    with pytest.raises(UsageError, match="under way"):
        agent.new_session()
    turn.close()
    assert say(agent, "third").reason == "stop"


def test_a_full_window_loses_its_oldest_half_at_once_and_stays_append_only(stage: "Stage") -> None:
    stage.engine = type(stage.engine)("a reply of exactly seven words here", context_tokens=1200)
    agent = stage.agent(max_reply_tokens=64)
    trims: list[tuple[int, ContextTrimmed]] = []
    for number in range(60):
        events = list(agent.turn(f"question {number} " + "word " * 20))
        trims += [(number, event) for event in events if isinstance(event, ContextTrimmed)]
        assert isinstance(events[-1], ReplyFinished)
    assert 1 <= len(trims) <= 10
    cut_at, cut = trims[0]
    assert cut.turns_left_out >= cut.turns_kept - 2
    assert "question 0 " in stage.prompt(cut_at - 1)
    assert "question 0 " not in stage.prompt(cut_at)
    cuts = {number for number, _event in trims}
    for number in range(1, 60):
        if number not in cuts:
            assert stage.prompt(number).startswith(stage.prompt(number - 1))
    assert len(agent.session.turns) == 120
    resumed = stage.agent(max_reply_tokens=64)
    resumed.resume("last")
    before = stage.prompt()
    say(resumed, "after a restart")
    assert stage.prompt().startswith(before)


def test_what_left_the_window_can_be_recalled(stage: "Stage") -> None:
    stage.engine = type(stage.engine)("short", context_tokens=900)
    agent = stage.agent(max_reply_tokens=64)
    for number in range(30):
        say(agent, f"question {number} " + "word " * 20)
    assert stage.memory.asked[-1][1] == ""
    early, late = agent.session.turns[0].message_id, agent.session.turns[-1].message_id
    stage.memory.memories = {
        "old": stage.remembered("old", "said long ago", message_id=early),
        "new": stage.remembered("new", "said just now", message_id=late),
    }
    stage.memory.answer = ["old", "new"]
    finished = say(agent, "what did I say?")
    assert [memory.id for memory in finished.memories] == ["old"]


def test_a_question_longer_than_the_window_says_so(stage: "Stage") -> None:
    agent = stage.agent()
    events = list(agent.turn("word " * 5000))
    assert isinstance(agent.last_error, UsageError)
    assert isinstance(events[-1], Notice)
    assert "too long" in events[-1].text
    assert stage.engine.requests == []


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
    monkeypatch.setattr(stage.memory, "fill_vectors", lambda: (release.wait(10), filled.set(), 0)[2])
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
