"""Our own log: what is written is read back, in the form other tools read, whatever happened to the file."""

import json
import multiprocessing
import re
from pathlib import Path

import pytest

from memory.errors import HomeError
from memory.transcripts.read import read_transcript
from memory.transcripts.redact import redact
from memory.transcripts.writer import FORGOTTEN, SessionWriter


def _reply(writer: SessionWriter, text: str, **more: object) -> str:
    return writer.assistant(text, molt=3, base_sha256="ab" * 32, model="m", memories=["k1", "k2"], **more)  # type: ignore[arg-type]


def test_a_session_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    writer = SessionWriter.create(tmp_path, cwd="/somewhere")
    asked = writer.user("olá, maçã")
    replied = _reply(writer, "Olá.", message_id="12345678", stopped=True)
    writer.title("fruit")
    transcript = read_transcript(writer.path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d_[0-9a-f]{8}\.jsonl", writer.path.name)
    assert (transcript.id, transcript.own, transcript.title, transcript.skipped) == (writer.id, True, "fruit", ())
    user, reply = transcript.turns
    assert (user.id, user.text, user.trust, user.spoken_by) == (asked, "olá, maçã", "owner", None)
    assert (reply.id, reply.text, reply.spoken_by, reply.base_sha256) == (replied, "Olá.", 3, "ab" * 32)
    assert (replied, reply.shown_memories, reply.stopped) == ("12345678", ("k1", "k2"), True)


def test_other_tools_find_what_version_3_promises(tmp_path: Path) -> None:
    writer = SessionWriter.create(tmp_path)
    writer.user("hi")
    _reply(writer, "hello")
    header, user, reply = [json.loads(line) for line in writer.path.read_text().splitlines()]
    assert (header["type"], header["version"]) == ("session", 3)
    assert user["parentId"] is None
    assert reply["parentId"] == user["id"]
    assert {"api", "provider", "model", "usage", "stopReason"} <= reply["message"].keys()


def test_the_last_verdict_counts_and_a_zero_takes_it_back(tmp_path: Path) -> None:
    writer = SessionWriter.create(tmp_path)
    writer.user("a")
    first, second, third = _reply(writer, "1"), _reply(writer, "2"), _reply(writer, "3")
    writer.rate(first, -1)
    writer.rate(first, 1)
    writer.rate(second, 1)
    writer.rate(second, 0)
    writer.edit(third, "draft")
    writer.edit(third, "better")
    replies = read_transcript(writer.path).turns[1:]
    assert [turn.approved for turn in replies] == [True, None, None]
    assert [turn.final_text for turn in replies] == ["1", "2", "better"]
    assert replies[2].text == "3"


def test_a_torn_line_is_set_aside_and_the_session_goes_on(tmp_path: Path) -> None:
    writer = SessionWriter.create(tmp_path)
    writer.user("first")
    with writer.path.open("ab") as file:
        file.write(b'{"type": "message", "id": "dead')
    again = SessionWriter.open(writer.path)
    again.user("second")
    transcript = read_transcript(writer.path)
    assert again.id == writer.id
    assert [turn.text for turn in transcript.turns] == ["first", "second"]
    assert [item.line for item in transcript.skipped] == [3]


def test_a_file_that_is_gone_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match=r"gone\.jsonl"):
        SessionWriter.open(tmp_path / "gone.jsonl")


def _write_many(path: str, count: int) -> None:
    writer = SessionWriter.open(Path(path))
    for number in range(count):
        writer.user(f"line {number}")


def test_a_redaction_loses_no_line_that_is_written_meanwhile(tmp_path: Path) -> None:
    writer = SessionWriter.create(tmp_path)
    secret = writer.user("the secret")
    child = multiprocessing.get_context("spawn").Process(target=_write_many, args=(str(writer.path), 60))
    child.start()
    while child.is_alive():
        redact(writer.path, lambda message_id, _: message_id == secret)
    child.join()
    texts = [turn.text for turn in read_transcript(writer.path).turns]
    assert texts == [FORGOTTEN, *(f"line {number}" for number in range(60))]


def test_a_redaction_takes_text_and_edits_and_leaves_the_rest_byte_for_byte(tmp_path: Path) -> None:
    writer = SessionWriter.create(tmp_path)
    writer.user("keep this")
    reply = _reply(writer, "forget this")
    writer.edit(reply, "forget this too")
    before = writer.path.read_bytes().splitlines()
    changed = redact(writer.path, lambda message_id, _: message_id == reply)
    after = writer.path.read_bytes().splitlines()
    assert [line for line, _ in changed] == [3, 4]
    assert after[:2] == before[:2]
    assert b"forget this" not in writer.path.read_bytes()
    assert read_transcript(writer.path).turns[1].spoken_by == 3
    assert redact(writer.path, lambda message_id, _: message_id == reply) == []
