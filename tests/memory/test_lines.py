"""Damaged logs: every good line is read, every bad one is one line of the report."""

from pathlib import Path

import pytest

from memory.transcripts import lines
from memory.transcripts.fields import clean_text
from memory.transcripts.lines import read_json_lines
from memory.transcripts.model import Skipped


def _read(path: Path) -> tuple[list[int], list[tuple[int, str]]]:
    skipped: list[Skipped] = []
    numbers = [number for number, _ in read_json_lines(path, skipped)]
    return numbers, [(item.line, item.reason) for item in skipped]


def test_a_torn_last_line_is_reported_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": 2}\n{"c": "half')
    assert _read(path) == ([1, 2], [(3, "torn last line")])


def test_a_whole_last_line_without_a_newline_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": 2}')
    assert _read(path) == ([1, 2], [])


@pytest.mark.parametrize(
    ("line", "is_kept", "reason"),
    [
        (b'{"a": "x"\0\0}', True, "NUL bytes replaced"),
        (b"\0\0\0\0", False, "nothing but NUL"),
        (b'{"a": "\xff\xfe"}', True, "invalid UTF-8"),
        (b"[1, 2]", False, "a JSON list"),
        (b"42", False, "a JSON int"),
        (b"{'a': 1}", False, "not JSON"),
        (b"[" * 100_000, False, "nested too deeply"),
    ],
)
def test_one_bad_line_costs_one_line(tmp_path: Path, line: bytes, is_kept: bool, reason: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"before": 1}\n' + line + b'\n{"after": 1}\n')
    numbers, skipped = _read(path)
    assert numbers == ([1, 2, 3] if is_kept else [1, 3])
    assert [number for number, _ in skipped] == [2]
    assert reason in skipped[0][1]


def test_empty_lines_are_passed_over_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'\n{"a": 1}\n\n  \n{"b": 2}\n')
    assert _read(path) == ([2, 5], [])


def test_a_line_over_the_limit_is_passed_over_and_the_next_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": "' + b"x" * 1000 + b'"}\n{"c": 3}\n')
    numbers, skipped = _read(path)
    assert numbers == [1, 3]
    assert skipped == [(2, "1,010 bytes, over the limit of 100")]


def test_lone_surrogates_become_text_that_can_be_stored() -> None:
    assert clean_text("a\ud800b") == "a?b"
    assert clean_text("maçã") == "maçã"
    assert clean_text(None) == ""


def test_records_that_lost_the_newline_between_them_are_all_read(tmp_path: Path) -> None:
    path, skipped = tmp_path / "log.jsonl", []
    path.write_bytes(b'{"a": 1}{"b": "x}{\\"y"}{"c": 3}\n{"d": 4}\n{"e": 5}{"f": 6\n')
    records = [record for _, record in read_json_lines(path, skipped)]
    assert records == [{"a": 1}, {"b": 'x}{"y'}, {"c": 3}, {"d": 4}]
    assert [(item.line, item.reason.partition(";")[0]) for item in skipped] == [
        (1, "3 records on one line"),
        (3, "not JSON (Extra data)"),
    ]
