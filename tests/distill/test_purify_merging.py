"""Merging, what a training reads of purified rationales, and the command whole."""

import json
import threading
from pathlib import Path

import pytest
from planted import TOPICS, answered
from test_purify_conflict import distill

from distill.config import load_config
from distill.extras import EXPLAIN, taught_dialogues, taught_reasons
from distill.purify.aggregate import Aggregate, merge_prompt, merged_by, merging_question, store_name
from distill.purify.asked import PURIFIED, Asked, asked_of, teachers_of
from distill.purify.embedding import Embed
from distill.purify.facts import facts_of, shared_facts_kept
from distill.purify.likelihood import likelihoods
from distill.purify.methods import cases_of
from distill.purify.protocol import Purified
from distill.purify.purified import keep, purified_taught
from distill.teachers.protocol import Answer, Prompt, Traits
from distill.teachers.replies import Replies, forget
from distill.teachers.taught import taught
from memory.errors import UsageError
from memory.home import Home
from molting_agent.runtime.client import EngineClient

FIRST = "The disk of baleia has 12 percent free, and the limit is 15, so no backup tonight."
SECOND = "Under the line of 15 percent we wait; baleia has 12 percent. Ask Rosa first."


class Scripted:
    """A teacher that writes what it is told to, and counts how often it is asked."""

    def __init__(self, text: str) -> None:
        self.text, self.asked = text, 0
        self.traits = Traits(name="scripted", kind="openai", model="m", remote=False, identity={"model": "m"})

    def ask(self, prompt: Prompt) -> Answer:
        self.asked += 1
        return Answer(self.text, tokens_in=3, tokens_out=5)

    def close(self) -> None:
        """Nothing is open."""


def two() -> Asked:
    question = "is baleia ok for tonight?"
    return Asked(question, (answered("llama", question, "No.", SECOND), answered("opus", question, "No!", FIRST)))


def test_facts_are_numbers_names_and_code_words() -> None:
    assert facts_of("Set --max-old to 1,024 in app/config.toml, says Rosa; 3.5 is low.") == {
        "1024",
        "3.5",
        "--max-old",
        "app/config.toml",
        "rosa",
    }


def test_shared_facts_are_kept_or_named() -> None:
    whole = shared_facts_kept([FIRST, SECOND], "At 12 percent free baleia is under our line of 15.")
    assert (whole.shared, whole.whole) == ({"12", "15"}, True)
    lost = shared_facts_kept([FIRST, SECOND], "baleia is under our line of 15.")
    assert (lost.missing, lost.whole) == ({"12"}, False)
    made_up = shared_facts_kept([FIRST, SECOND], "At 12 of 15 percent; Rosa says 40 is fine.")
    assert made_up.added == {"40"}  # Rosa stands in one of them
    assert shared_facts_kept([FIRST, SECOND], f"{FIRST} {SECOND}").whole
    assert shared_facts_kept(["1,000 files", "1000 files"], "1,000 of them").whole


def test_the_merging_prompt_holds_all_reasons_and_no_teacher() -> None:
    prompt = merge_prompt("why?", [FIRST, SECOND], "No.")
    assert all(part in prompt for part in ("why?", FIRST, SECOND, "Explanation 2", "The right answer:\nNo."))
    assert "right answer" not in merge_prompt("why?", [FIRST, SECOND])
    asking = merging_question(two())
    assert not any(name in turn.text for name in ("opus", "llama") for turn in asking.history)


def test_merging_asks_once_and_its_texts_are_nobodys_replies(home: Home) -> None:
    teacher, store = Scripted("At 12 percent baleia is under 15."), Replies(home, store_name("scripted"))
    for _time in range(2):
        found = merged_by(teacher, store, [two()], len, threading.Event(), lambda _tally: None)
        assert found == {two().question: teacher.text}
    assert teacher.asked == 1
    assert [reply.reply for reply in store] == [teacher.text]
    assert teachers_of(home) == []
    assert list(taught(home, [])) == []
    assert forget(home, {two().answers[0].conversation}) == 1


@pytest.mark.parametrize(("merged", "teacher"), [("At 12 percent baleia is under 15.", "scripted"), ("All ok.", "")])
def test_a_merged_text_that_lost_a_fact_is_not_taken(merged: str, teacher: str, embed: Embed) -> None:
    (case,) = cases_of([two()], embed)
    found = Aggregate({case.question: merged}, "scripted").purify(case)
    assert (found.teacher == teacher) if teacher else found.rationale in case.rationales
    assert set(found.scores) == {"llama", "opus"}


def test_a_training_reads_the_purified_rationale_under_its_teacher(home: Home) -> None:
    config = load_config("rationale")
    asked = two()
    merged = Purified("scripted", "It is at 12 of 15.", {"llama": 0.2, "opus": 0.9})
    replies = purified_taught([asked, asked], [Purified("llama", SECOND), merged])
    assert [(one.teacher, one.reply, one.rationale) for one in replies] == [
        ("llama", "No.", SECOND),
        ("scripted", "No!", "It is at 12 of 15."),  # the reply of the best score
    ]
    assert keep(home, replies[:1]) == 1
    (kept,) = taught(home, [], [PURIFIED])
    assert (kept.teacher, kept.rationale, kept.messages) == ("llama", SECOND, replies[0].messages)
    (answer,) = taught_dialogues([kept], config)
    (reason,) = taught_reasons([kept], config)
    assert answer.messages[-1].content == "No."
    assert [m.content for m in reason.messages] == [EXPLAIN + asked.question, SECOND]
    assert [m.target for m in reason.messages] == [False, True]
    assert reason.format == answer.format == "taught by llama"
    assert teachers_of(home) == []  # what was purified is not purified again
    with home.config_file.open("a") as file:
        file.write('\n[teachers.purified]\nkind = "gguf"\n')
    with pytest.raises(UsageError, match=r"teachers\.purified: the name is taken"):
        keep(home, replies)


def test_the_student_finds_the_right_answer_likelier_after_reasons_that_say_it(engine: EngineClient) -> None:
    question = "What is the code word of tonight?"
    told, silent = "The code word of tonight is bluebird.", "Code words change every night."
    answers = (answered("a", question, "x", told), answered("b", question, "y", silent))
    ((high, low),) = likelihoods([Asked(question, answers, "The code word is bluebird.")], engine)
    assert low < high < 0
    assert likelihoods([Asked(question, answers)], engine) == [()]


def test_the_command_purifies_and_a_retraining_would_learn_it(
    prepared_home: Home, asked_home: list[Asked], tmp_path: Path
) -> None:
    right = tmp_path / "right.jsonl"
    letters = dict(zip(TOPICS, "ABC", strict=True))
    rows = [{"prompt": text, "answer": letters[topic]} for topic, texts in TOPICS.items() for text in texts]
    right.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "purified.jsonl"
    options = ["--method", "classifier", "--answers", str(right), "--no-student", "--out", str(out), "--json"]
    done = distill(prepared_home, "purify", *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["questions"], found["tell_apart"], found["kept"]) == (24, 24, 24)
    assert found["held_out"]["classifier"] >= 0.9
    assert found["held_out"]["random"] < 0.6
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert set(lines[0]) == {"question", "teacher", "rationale", "scores"}
    topic_of = {text: topic for topic, texts in TOPICS.items() for text in texts}
    assert sum(line["teacher"] == topic_of[line["question"]] for line in lines) >= 0.9 * len(lines)
    assert len(list(taught(prepared_home, [], [PURIFIED]))) == len(asked_of(prepared_home)) == 24


def test_what_the_command_cannot_do_is_one_line(prepared_home: Home) -> None:
    for options, said in (
        (["--method", "keys"], "fewer than two teachers gave reasons"),
        (["--method", "keys", "--merge", "opus"], "--merge NAME names the teacher who merges"),
        (["--method", "keys", "--right", "logs"], "teacher logs has answered nothing here"),
    ):
        done = distill(prepared_home, "purify", *options)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert said in done.stderr
