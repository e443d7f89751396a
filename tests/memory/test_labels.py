"""Labels: spans, rules and marks, the strictest wins, and what they keep from leaving or being learnt."""

from dataclasses import replace
from pathlib import Path

import pytest

from distill.targets import targets_of
from memory.api import Memory
from memory.chunk import chunk_document
from memory.errors import HomeError
from memory.home import Home
from memory.labels import LabelRules, labelled, may_leave, private_spans, read_rules, strictest, withhold
from memory.transcripts.model import Alternative, Label, ToolCall, Transcript, Turn
from tests.memory.conftest import CLAUDIO, own_session, write_lines

NO_RULES = LabelRules()


def _talk(*turns: Turn, alternatives: tuple[Alternative, ...] = ()) -> Transcript:
    return Transcript("t", "pi", Path("t.jsonl"), turns, title="About a code", alternatives=alternatives)


def _said(number: int, text: str) -> Turn:
    return Turn(f"u{number}", "user", text, number)


def _replied(number: int, text: str) -> Turn:
    return Turn(f"a{number}", "assistant", text, number, trust="agent")


def _labels(*turns: Turn, rules: LabelRules = NO_RULES, floor: Label = "normal") -> list[Label]:
    return [turn.label for turn in labelled(_talk(*turns), floor, rules).turns]


def test_the_strictest_wins() -> None:
    assert strictest() == "normal"
    assert strictest("normal", "never-train") == "never-train"
    assert strictest("private", "never-train", "normal") == "private"
    assert [may_leave(label) for label in ("normal", "never-train", "private")] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "kept", "hidden"),
    [
        ("a <private>b</private> c", "a b c", ["b"]),
        ("a <PRIVATE>b</Private > c", "a b c", ["b"]),
        ("a <private>b c", "a b c", ["b c"]),
        ("a</private> b", "a b", ["a"]),
        ("<private>a<private>b</private>c</private>d", "abcd", ["abc"]),
        ("<private>a</private>b<private>c</private>", "abc", ["a", "c"]),
        ("a <private></private> b", "a  b", []),
        ("no tag, <privateer> stays", "no tag, <privateer> stays", []),
    ],
)
def test_a_private_span(text: str, kept: str, hidden: list[str]) -> None:
    clean, ranges = private_spans(text)
    assert clean == kept
    assert [clean[start:end] for start, end in ranges] == hidden


def test_a_turn_with_a_span_is_private_with_its_replies_and_loses_the_tags() -> None:
    asked = "my <private>code</private> is in `xy`"
    pasted = ((asked.index("xy"), asked.index("xy") + 2),)
    turns = (
        _said(1, "hello there"),
        _replied(2, "Hi."),
        replace(_said(3, asked), pasted=pasted),
        replace(_replied(4, "Kept."), rationale="<private>so", tool_calls=(ToolCall("c", "n", "<private>1", "2"),)),
        _said(5, "thanks"),
        _replied(6, "Yes."),
    )
    talk = labelled(_talk(*turns), "normal", NO_RULES)
    assert [turn.label for turn in talk.turns] == ["normal", "normal", "private", "private", "normal", "normal"]
    assert talk.turns[2].text == "my code is in `xy`"
    assert [talk.turns[2].text[start:end] for start, end in talk.turns[2].pasted] == ["xy"]
    assert (talk.turns[3].rationale, talk.turns[3].tool_calls[0].arguments) == ("so", "1")


def test_rules_of_words_find_whole_words_in_any_case() -> None:
    rules = LabelRules(private=("#medical", "Doctor  Silva"), never_train=("draft",))
    assert rules.of_text("about #Medical things") == "private"
    assert rules.of_text("I saw doctor\nsilva") == "private"
    assert rules.of_text("#medically", "drafts", "doctor") == "normal"
    assert rules.of_text("a Draft.") == "never-train"
    assert rules.of_text("a draft", "#medical") == "private"
    assert _labels(_said(1, "a draft"), _replied(2, "ok"), rules=rules) == ["never-train", "never-train"]
    assert _labels(_said(1, "hi"), _replied(2, "see #medical"), rules=rules) == ["normal", "private"]


@pytest.mark.parametrize(
    ("rule", "path", "fits"),
    [
        ("~/clients/x/**", "clients/x/a/b.md", True),
        ("~/clients/x", "clients/x/a/b.md", True),
        ("~/clients/x/", "clients/x/a.md", True),
        ("~/clients/x/**", "clients/xy/a.md", False),
        ("~/clients/*/notes.md", "clients/x/notes.md", True),
        ("~/clients/*/notes.md", "clients/x/y/notes.md", False),
        ("~/clients/**/notes.md", "clients/x/y/notes.md", True),
        ("~/clients/**/notes.md", "clients/notes.md", True),
        ("*.secret.md", "deep/down/a.secret.md", True),
        ("drafts/*.md", "deep/drafts/a.md", True),
        ("drafts/*.md", "deep/mydrafts/a.md", False),
        ("~/a+b/*", "a+b/c.md", True),
    ],
)
def test_rules_of_paths(monkeypatch: pytest.MonkeyPatch, rule: str, path: str, fits: bool) -> None:
    monkeypatch.setenv("HOME", "/home/ana")
    assert (LabelRules(private=(rule,)).of_path(Path("/home/ana") / path) == "private") == fits


def test_rules_that_cannot_be_read_are_an_error_that_names_the_file(bare_home: Home) -> None:
    assert read_rules(bare_home) == NO_RULES
    for text in (
        "[memory]\nprivate = 3\n",
        "[memory]\nprivate = ['']\n",
        "[memory\n",
        "memory = { never_train = [1] }\n",
    ):
        bare_home.config_file.write_text(text)
        with pytest.raises(HomeError, match=r"config\.toml"):
            Memory(bare_home)
    bare_home.config_file.write_text("[memory]\nk = 2\nnever_train = [' x ']\n")
    assert read_rules(bare_home) == LabelRules(never_train=("x",))


def test_private_parts_of_a_document(tmp_path: Path) -> None:
    content = (
        "# Notes\n\nOpen words.\n\n<private>\nHidden words.\n\n## Illness\n\n</private>\nBelow the hidden heading.\n\n"
        "# Rest\n\n- open entry\n- <private>hidden entry</private>\n- last entry\n\nPlain.\n\n"
        "<private>Rest is hidden.\n"
    )
    chunks = chunk_document(content, tmp_path / "n.md")
    assert {chunk.text: chunk.label for chunk in chunks} == {
        "Open words.": "normal",
        "Hidden words.": "private",
        "Below the hidden heading.": "private",
        "open entry": "normal",
        "hidden entry": "private",
        "last entry": "normal",
        "Plain.": "normal",
        "Rest is hidden.": "private",
    }
    assert content.splitlines()[chunks[4].line_start - 1] == "- <private>hidden entry</private>"


def test_withholding_ends_before_the_first_private_turn() -> None:
    alternatives = (Alternative("a2", "other"), Alternative("a4", "another"))
    turns = (_said(1, "a"), _replied(2, "b"), _said(3, "<private>c"), _replied(4, "d"), _said(5, "e"))
    talk = labelled(_talk(*turns, alternatives=alternatives), "normal", NO_RULES)
    sent = withhold(talk)
    assert [turn.id for turn in sent.turns] == ["u1", "a2"]
    assert [one.message_id for one in sent.alternatives] == ["a2"]
    assert sent.title == ""
    learnable = labelled(_talk(_said(1, "a")), "never-train", NO_RULES)
    assert withhold(learnable) is learnable


def test_a_branch_not_taken_with_private_words_is_not_kept() -> None:
    alternatives = (Alternative("a2", "fine"), Alternative("a2", "<private>x"), Alternative("a2", "y", "#medical"))
    talk = labelled(_talk(_said(1, "q"), alternatives=alternatives), "normal", LabelRules(private=("#medical",)))
    assert [one.text for one in talk.alternatives] == ["fine"]


def test_a_span_in_a_log_is_recalled_and_never_learnt(memory: Memory, tmp_path: Path) -> None:
    def record(kind: str, uuid: str, text: str) -> dict[str, object]:
        content = text if kind == "user" else [{"type": "text", "text": text}]
        message = {"role": kind, "id": f"m{uuid}", "content": content}
        return {"type": kind, "uuid": uuid, "sessionId": "s", "message": message}

    log = [
        record("user", "u1", "where is the library in town"),
        record("assistant", "a1", "It stands beside the old station."),
        record("user", "u2", "the safe <private>opens with seven left turns</private>"),
        record("assistant", "a2", "Seven left turns, understood."),
    ]
    memory.ingest([write_lines(tmp_path / "s.jsonl", *log)])
    (talk,) = memory.conversations()
    assert [target.message for target in targets_of(talk)[0]] == ["a1"]
    (found,) = memory.recall("how does the safe open, how many left turns")
    assert found.label == "private"
    assert "<private>" not in found.text
    assert memory.recall("where is the library")[0].label == "normal"


def test_rules_in_the_config_hold_for_every_opener_at_once(memory: Memory, tmp_path: Path) -> None:
    home = memory.home
    own_session(home, ("the boat is called Garça and sails", "Noted."))
    note = tmp_path / "clients" / "x.md"
    note.parent.mkdir()
    note.write_text("- the client pays late\n- the other client never calls\n")
    memory.sync()
    memory.ingest([note, CLAUDIO / "openclaw"])
    memory.close()
    rules = f'[memory]\nprivate = ["{note.parent}/**", "garça"]\nnever_train = ["fixtures/claudio/**"]\n'
    home.config_file.write_text(rules)
    again = Memory(home)
    labels = {found.text: found.label for found in again.list(limit=1000)}
    assert labels["the client pays late"] == labels["My human: the boat is called Garça and sails"] == "private"
    assert set(labels.values()) == {"private", "never-train"}
    assert {turn.label for talk in again.conversations() if not talk.own for turn in talk.turns} == {"never-train"}
    own = next(talk for talk in again.conversations() if talk.own)
    assert [turn.label for turn in own.turns] == ["private", "private"]
    before = {found.text: found.id for found in again.list(limit=1000)}
    home.config_file.write_text('[memory]\nprivate = ["other client"]\n')
    again.sync()
    report = again.ingest([note, CLAUDIO / "openclaw"])
    assert (report.unchanged, report.memories, report.removed) == (0, 0, 0), "read again, and nothing else changed"
    assert {found.text: found.id for found in again.list(limit=1000)} == before
    labels = {found.text: found.label for found in again.list(limit=1000)}
    assert labels.pop("the other client never calls") == "private"
    assert set(labels.values()) == {"normal"}
    again.close()


def test_a_mark_and_a_rule_together_and_a_mark_taken_away(memory: Memory, tmp_path: Path) -> None:
    note = tmp_path / "a.md"
    note.write_text("- one ordinary thing\n- a #medical thing\n")
    memory.home.config_file.write_text('[memory]\nprivate = ["#medical"]\n')
    memory.ingest([note], label="never-train")
    assert {found.text: found.label for found in memory.list()} == {
        "one ordinary thing": "never-train",
        "a #medical thing": "private",
    }
    memory.ingest([note])
    assert {found.label for found in memory.list()} == {"never-train", "private"}
    memory.ingest([note], label="normal")
    assert {found.label for found in memory.list()} == {"normal", "private"}


def test_the_same_words_inside_and_outside_a_span_are_private(memory: Memory, tmp_path: Path) -> None:
    note = tmp_path / "a.md"
    note.write_text("- the same three words\n- <private>the same three words</private>\n")
    memory.ingest([note])
    assert [(found.text, found.label) for found in memory.list()] == [("the same three words", "private")]
