"""A log that grew: only its new lines are read, what was known stays, and the result is that of a fresh ingest."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memory import append, ingest
from memory.api import Memory
from memory.home import Home
from memory.transcripts.model import Reading, Transcript
from memory.transcripts.read import open_log
from tests.memory.conftest import CLAUDIO, write_lines


class Readings:
    """Where each reading of a log began, and the lowest line of the turns that it gave."""

    def __init__(self) -> None:
        self.starts: list[tuple[int, int]] = []
        self.lines: list[int] = []

    def open(self, path: Path, start: tuple[int, int] = (0, 0)) -> Reading:
        reading = open_log(path, start)
        self.starts.append(start)
        reading.conversations = self._seen(reading.conversations)
        return reading

    def _seen(self, conversations: Iterator[Transcript]) -> Iterator[Transcript]:
        for transcript in conversations:
            self.lines += [turn.line for turn in transcript.turns]
            yield transcript


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    found = Readings()
    monkeypatch.setattr(ingest, "open_log", found.open)
    monkeypatch.setattr(append, "open_log", found.open)
    return found


def _exchange(number: int, asked: str = "", answer: str = "") -> list[dict[str, Any]]:
    def record(kind: str, content: object) -> dict[str, Any]:
        message = {"role": kind, "id": f"m{kind}{number}", "content": content}
        return {"type": kind, "uuid": f"{kind}-{number}", "sessionId": "s", "message": message}

    answer = answer or f"Stone number {number} lies by the wall."
    return [
        record("user", asked or f"where does stone number {number} lie"),
        record("assistant", [{"type": "text", "text": answer}]),
    ]


def _append(path: Path, *records: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def _content(memory: Memory) -> dict[str, list[tuple[object, ...]]]:
    queries = {
        "sources": "SELECT path, sha256, size_bytes, label, duplicates FROM sources",
        "conversations": "SELECT transcript_id, title, alternatives, redactions, resume_at FROM conversations",
        "turns": "SELECT position, id, text, line, label, trust, tool_calls, pasted FROM turns",
        "chunks": "SELECT id, text, search_text, line_start, line_end, message_ids, trust, label FROM chunks",
    }
    with memory._store.locked() as connection:
        return {name: sorted(tuple(row) for row in connection.execute(query)) for name, query in queries.items()}


def _equals_a_fresh_ingest(memory: Memory, path: Path, tmp_path: Path) -> bool:
    fresh = Memory(Home(tmp_path / "fresh"))
    fresh.ingest([path])
    same = _content(fresh) == _content(memory)
    fresh.close()
    return same


def test_only_the_new_lines_are_read(full_memory: Memory, tmp_path: Path, readings: Readings) -> None:
    path = write_lines(tmp_path / "s.jsonl", *(line for number in range(20) for line in _exchange(number)))
    full_memory.ingest([path])
    full_memory.fill_vectors()
    before = {found.text: found.id for found in full_memory.list(limit=100)}
    size = path.stat().st_size
    readings.lines.clear()
    _append(path, *_exchange(20), *_exchange(21))
    report = full_memory.ingest([path])
    assert (report.appended, report.conversations, report.turns, report.memories) == (1, 1, 44, 2)
    offset, lines = readings.starts[-1]
    assert (lines, readings.lines) == (38, [39, 40, 41, 42, 43, 44]), "the last exchange again, and the new ones"
    assert 0 < size - offset < size / 10
    after = {found.text: found.id for found in full_memory.list(limit=100)}
    assert before.items() <= after.items()
    assert full_memory.fill_vectors() == 2
    assert _equals_a_fresh_ingest(full_memory, path, tmp_path)
    assert full_memory.ingest([path]).unchanged == 1


def test_a_reply_torn_over_the_border_is_read_whole(memory: Memory, tmp_path: Path, readings: Readings) -> None:
    lines = [json.dumps(line) + "\n" for number in range(6) for line in _exchange(number)]
    whole = "".join(lines)
    path = tmp_path / "s.jsonl"
    path.write_text(whole[: -len(lines[-1]) // 2])
    memory.ingest([path])
    path.write_text(whole)
    report = memory.ingest([path])
    assert report.appended == 1
    assert readings.starts[-1] != (0, 0)
    assert [turn.text for turn in next(memory.conversations()).turns][-1] == "Stone number 5 lies by the wall."
    assert _equals_a_fresh_ingest(memory, path, tmp_path)


def test_an_appended_log_of_openclaw(memory: Memory, tmp_path: Path, readings: Readings) -> None:
    source = max((CLAUDIO / "openclaw").glob("*.jsonl"), key=lambda path: path.stat().st_size)
    lines = source.read_bytes().splitlines(keepends=True)
    path = tmp_path / source.name
    path.write_bytes(b"".join(lines[:-2]))
    memory.ingest([path])
    path.write_bytes(b"".join(lines))
    assert memory.ingest([path]).appended == 1
    assert readings.starts[-1] != (0, 0)
    assert _equals_a_fresh_ingest(memory, path, tmp_path)


@pytest.mark.parametrize(
    "asked",
    ["write to ana.pereira@correio.example.pt about it", "see this:\n\n```\nthe stones were moved by the sea\n```\n"],
    ids=["redacted", "pasted"],
)
def test_where_the_earlier_part_matters_all_is_read(
    memory: Memory, tmp_path: Path, readings: Readings, asked: str
) -> None:
    path = write_lines(tmp_path / "s.jsonl", *_exchange(0, asked), *_exchange(1), *_exchange(2))
    memory.ingest([path])
    _append(path, *_exchange(3, answer="Tell joao@correio.example.pt that the stones were moved by the sea."))
    report = memory.ingest([path])
    assert report.turns == 8
    assert _equals_a_fresh_ingest(memory, path, tmp_path)
    if "@" in asked:
        assert report.appended == 0
        assert "[EMAIL_2]" in next(memory.conversations()).turns[-1].text


def test_a_log_that_changed_in_its_middle_is_read_whole(memory: Memory, tmp_path: Path, readings: Readings) -> None:
    path = write_lines(tmp_path / "s.jsonl", *(line for number in range(5) for line in _exchange(number)))
    memory.ingest([path])
    path.write_text(path.read_text().replace("stone number 1 lie", "stone number one lie"))
    _append(path, *_exchange(5))
    assert memory.ingest([path]).appended == 0
    assert readings.starts[-1] == (0, 0)
    assert _equals_a_fresh_ingest(memory, path, tmp_path)


def test_a_forgotten_exchange_stays_so_when_the_log_grows(memory: Memory, tmp_path: Path, readings: Readings) -> None:
    path = write_lines(tmp_path / "s.jsonl", *(line for number in range(5) for line in _exchange(number)))
    memory.ingest([path])
    gone = next(found for found in memory.list() if "number 1" in found.text)
    memory.forget([gone.id])
    _append(path, *_exchange(5))
    assert memory.ingest([path]).appended == 1
    texts = [turn.text for turn in next(memory.conversations()).turns]
    assert texts.count("[forgotten]") == 2
    assert not any("number 1" in text for text in texts)
