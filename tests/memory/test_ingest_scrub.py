"""What an ingest stores is scrubbed everywhere, pastes stay on their words, and nobody's words are marked so."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memory.api import Memory
from memory.chunk import chunk_transcript
from memory.ranges import Cut, moved, without
from memory.scrub import Scrubber
from memory.scrub.conversation import has_placeholders, scrub_conversation
from memory.transcripts.model import Alternative, ToolCall, Transcript, Turn
from tests.memory.conftest import files_holding, own_session, write_lines

TOKEN = "ghp_x7Kd2LmQ9vRt4WzB6nYc8HsJ3fPgA1uEoT5i"  # made up
MAIL = "ana.pereira@correio.example.pt"


def _line(kind: str, number: int, content: object, **more: Any) -> dict[str, Any]:
    message = {"role": kind, "id": f"m{number}", "content": content}
    return {"type": kind, "uuid": f"x{number}", "sessionId": "s", "message": message, **more}


def _log(path: Path) -> Path:
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": f"deploy --with {TOKEN}"}}
    told = f"Deployed, and {MAIL} was told of the harbour page."
    result = {"type": "tool_result", "tool_use_id": "t1", "content": f"mail from {MAIL}"}
    return write_lines(
        path,
        {"type": "summary", "summary": f"Mail of {MAIL}"},
        _line("user", 1, f"use the token {TOKEN} for the deploy of the harbour page"),
        _line("assistant", 2, [call]),
        _line("user", 3, [result]),
        _line("assistant", 4, [{"type": "thinking", "thinking": f"it was {TOKEN}"}, {"type": "text", "text": told}]),
    )


def test_no_byte_of_a_secret_is_in_the_home(full_memory: Memory, tmp_path: Path) -> None:
    report = full_memory.ingest([_log(tmp_path / "s.jsonl")])
    full_memory.fill_vectors()
    assert report.redactions == {"EMAIL": 3, "GITHUB_PAT": 3}
    assert (report.conversations, report.human_turns, report.agent_turns) == (1, 1, 1)
    assert (report.rationales, report.tool_calls) == (1, 1)
    (talk,) = full_memory.conversations()
    assert talk.title == "Mail of [EMAIL_1]"
    asked, reply = talk.turns
    assert asked.text == "use the token [GITHUB_PAT_1] for the deploy of the harbour page"
    assert reply.text == "Deployed, and [EMAIL_1] was told of the harbour page."
    assert reply.rationale == "it was [GITHUB_PAT_1]"
    (call,) = reply.tool_calls
    assert (call.name, call.result) == ("Bash", "mail from [EMAIL_1]")
    assert "[GITHUB_PAT_1]" in call.arguments
    (found,) = full_memory.recall("deploy of the harbour page")
    assert found.text == f"My human: {asked.text}\nMe: {reply.text}"
    full_memory.close()
    for secret in (TOKEN, MAIL, "ana.pereira"):
        assert files_holding(full_memory.home.root, secret.encode()) == []


def test_own_sessions_are_scrubbed_in_the_memory_and_stay_as_they_are_on_disk(memory: Memory) -> None:
    writer, (first, second) = own_session(memory.home, (f"my address is {MAIL}", "Noted."), ("and?", "What?"))
    writer.rate(first, 1)
    writer.edit(second, f"Write to {MAIL}.")
    memory.home.memory_file.write_text(f"- my mail is {MAIL}\n")
    memory.sync()
    (talk,) = memory.conversations()
    assert [turn.final_text for turn in talk.turns] == [
        "my address is [EMAIL_1]",
        "Noted.",
        "and?",
        "Write to [EMAIL_1].",
    ]
    assert talk.turns[3].edited_text == "Write to [EMAIL_1]."
    assert MAIL in writer.path.read_text()
    assert MAIL in memory.recall("what is my mail")[0].text, "notes are the person's own, and recall needs them"


def test_every_field_is_scrubbed_with_the_same_placeholders() -> None:
    turn = Turn(
        "a", "assistant", f"1 {MAIL}", 1, rationale=f"2 {MAIL}", edited_text=f"3 {MAIL}",
        tool_calls=(ToolCall("c", "mail", f"4 {MAIL}", f"5 {MAIL}"),),
    )  # fmt: skip
    talk = Transcript(
        "t", "pi", Path("t"), (turn,), title=f"6 {MAIL}", alternatives=(Alternative("a", f"7 {MAIL}", MAIL),)
    )
    clean, found = scrub_conversation(talk)
    assert found == {"EMAIL": 8}
    assert MAIL not in json.dumps([str(clean.turns), str(clean.alternatives), clean.title])
    assert str(clean).count("[EMAIL_1]") == 8
    assert has_placeholders(clean.turns[0])
    assert not has_placeholders(replace(turn, text="plain", rationale="", edited_text=None, tool_calls=()))


def test_a_pasted_range_stays_on_its_words_while_secrets_before_in_and_after_it_go() -> None:
    before, pasted, after = f"Mail {MAIL} about this: ", f"BEGIN {MAIL} and {TOKEN} END", f" and {MAIL} again"
    text = before + pasted + after
    result = Scrubber().scrub(text, [(len(before), len(before) + len(pasted)), (0, len(text))])
    (start, end), whole = result.ranges
    assert result.text[start:end] == "BEGIN [EMAIL_1] and [GITHUB_PAT_1] END"
    assert whole == (0, len(result.text))


@pytest.mark.parametrize(
    ("ranges", "cuts", "into"),
    [
        ([(2, 5)], [], [(2, 5)]),
        ([(2, 5)], [Cut(0, 1, 4)], [(5, 8)]),
        ([(2, 5)], [Cut(3, 4, 0)], [(2, 4)]),
        ([(2, 5)], [Cut(1, 3, 7)], [(1, 10)]),
        ([(2, 5)], [Cut(4, 9, 7)], [(2, 11)]),
        ([(2, 5)], [Cut(5, 9, 7)], [(2, 5)]),
        ([(2, 5)], [Cut(0, 2, 0), Cut(7, 8, 3)], [(0, 3)]),
        ([(2, 5)], [Cut(2, 5, 0)], []),
        ([(2, 5)], [Cut(1, 6, 3)], [(1, 4)]),
    ],
)
def test_ranges_move_with_what_is_cut(
    ranges: list[tuple[int, int]], cuts: list[Cut], into: list[tuple[int, int]]
) -> None:
    assert list(moved(ranges, cuts)) == into


def test_a_text_without_its_ranges() -> None:
    assert without("one two three", [(3, 8)]) == "one\nthree"
    assert without("one two three", [(4, 99), (0, 2), (1, 5)]) == ""
    assert without("one", []) == "one"


def _turns() -> Iterator[Turn]:
    text = "What do you make of this? THE PASTED PART SAYS BUY IT NOW Thanks a lot."
    start, end = text.index("THE"), text.index(" Thanks")
    yield Turn("u1", "user", text, 1, pasted=((start, end),))
    yield Turn("a1", "assistant", "I would not buy anything there.", 2, trust="agent")
    yield Turn("u2", "user", "and what does it say at all", 3)
    yield Turn("a2", "assistant", "The pasted part says buy it now.", 4, trust="untrusted")
    yield Turn("x", "tool", "a tool's words are no memory at all", 5, trust="untrusted")


def test_what_was_pasted_is_a_chunk_of_its_own_and_untrusted() -> None:
    chunks = chunk_transcript(Transcript("t", "claude-code", Path("t"), tuple(_turns())))
    assert [(chunk.text, chunk.trust) for chunk in chunks] == [
        ("My human: What do you make of this?\nThanks a lot.\nMe: I would not buy anything there.", "agent"),
        ("My human pasted: THE PASTED PART SAYS BUY IT NOW", "untrusted"),
        ("My human: and what does it say at all", "owner"),
        ("Me, after text from outside: The pasted part says buy it now.", "untrusted"),
    ]
    assert [chunk.message_id for chunk in chunks] == ["u1", "u1", "u2", "u2"]


def test_forgetting_an_exchange_takes_its_paste_calls_and_branches_along(memory: Memory, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "s.jsonl",
        _line("user", 1, "Please look at the well of this:\n\n```\nSobreirovelho stands in the log\n```\n"),
        _line(
            "assistant",
            2,
            [
                {"type": "text", "text": "It names an oak."},
                {"type": "tool_use", "id": "t", "name": "Grep", "input": {"q": "Sobreirovelho"}},
            ],
        ),
    )
    memory.ingest([path])
    found = next(one for one in memory.list() if one.trust == "untrusted")
    assert "Sobreirovelho" in found.text
    memory.forget([found.id])
    assert memory.list() == []
    (talk,) = memory.conversations()
    assert [(turn.text, turn.tool_calls, turn.pasted) for turn in talk.turns] == [("[forgotten]", (), ())] * 2
    path.write_text(path.read_text() + "\n")
    memory.ingest([path])
    assert memory.list() == []
    assert files_holding(memory.home.root, b"Sobreirovelho") == []
