"""A turn: its order, what is on disk when, what the model reads, and what happens when something breaks."""

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from agent_talk import kinds, lines_on_disk, say

from memory.errors import EngineError, MemoryStoreError, ModelError, UsageError
from memory.transcripts.read import read_transcript
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
        seen.append((step, said == ["the milk is sour"] and len(synced) > 0))

    really_recall = stage.memory.recall
    monkeypatch.setattr(stage.memory, "recall", lambda *a, **k: (look("recall"), really_recall(*a, **k))[1])
    stage.engine.reply = lambda question: (look("engine"), "yes")[1]
    say(stage.agent(), "the milk is sour")
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
