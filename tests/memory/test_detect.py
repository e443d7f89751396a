"""Formats are told by content: every sample, zips, arrays on one line, and what is no log at all."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from memory.errors import HomeError, ResumeError, UsageError
from memory.transcripts import elements, lines
from memory.transcripts.model import Transcript
from memory.transcripts.read import detect_format, open_log, read_transcript
from tests.memory.conftest import FIXTURES, write_lines

SAMPLES = FIXTURES / "transcripts"


def _shape(conversations: list[Transcript]) -> list[str]:
    return ["".join(turn.role[0] for turn in one.turns) for one in conversations]


@pytest.mark.parametrize(
    ("name", "log_format", "shapes"),
    [
        ("chatgpt-conversation.json", "chatgpt", ["uaua"]),
        ("chatgpt-representative.json", "chatgpt", ["uu"]),
        ("claude-ai-conversations.json", "claude-ai", ["uauaua", "uauauaua", "uauaua", "uauauaua"]),
        ("claude-ai-representative.json", "claude-ai", ["uau"]),
        ("claude-code-sample.jsonl", "claude-code", ["uaua"]),
        ("gptme.jsonl", "gptme", ["uaua"]),
        ("openai-messages.jsonl", "openai", ["uauaua", "uauauaua", "uauaua"]),
        ("pi-v2-tree.jsonl", "pi", ["uauaua"]),
        ("sharegpt.jsonl", "sharegpt", ["uauaua", "uauauaua", "uauaua"]),
    ],
)
def test_every_sample_is_recognised_under_any_name(
    tmp_path: Path, name: str, log_format: str, shapes: list[str]
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes((SAMPLES / name).read_bytes())
    assert detect_format(path) == log_format
    reading = open_log(path)
    conversations = list(reading.conversations)
    assert reading.format == log_format
    assert _shape(conversations) == shapes
    assert {one.format for one in conversations} == {log_format}
    assert len({one.id for one in conversations}) == len(shapes)
    assert reading.skipped == []


@pytest.mark.parametrize("name", ["sharegpt.jsonl", "openai-messages.jsonl"])
@pytest.mark.parametrize("indent", [None, 2])
def test_lines_an_array_and_one_object_say_the_same(tmp_path: Path, name: str, indent: int | None) -> None:
    by_line = list(open_log(SAMPLES / name).conversations)
    records = [json.loads(line) for line in (SAMPLES / name).read_text().splitlines()]
    array = tmp_path / "array.json"
    array.write_text(json.dumps(records, indent=indent))
    for_array = list(open_log(array).conversations)
    assert [(one.id, [turn.text for turn in one.turns]) for one in for_array] == [
        (one.id, [turn.text for turn in one.turns]) for one in by_line
    ]
    single = tmp_path / "single.json"
    single.write_text(json.dumps(records[0], indent=indent))
    assert [turn.text for turn in read_transcript(single).turns] == [turn.text for turn in by_line[0].turns]


def test_a_torn_element_costs_itself_and_no_other(tmp_path: Path) -> None:
    good = [json.dumps({"id": str(n), "conversations": [{"from": "human", "value": f"q{n}"}]}) for n in range(4)]
    path = tmp_path / "shards.json"
    path.write_text(f'[\n{good[0]},\n{good[1][:-20]},\n{good[2]},\n{{"a": tru}},\n{good[3]}\n]')
    reading = open_log(path)
    assert [one.id for one in reading.conversations] == ["0", "2", "3"]
    assert [(item.line, item.reason) for item in reading.skipped] == [
        (3, "element 2: torn"),
        (5, "element 4: not JSON (Expecting value)"),
    ]


def test_an_element_over_the_limit_is_one_line_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 5000)
    monkeypatch.setattr(elements, "WINDOW_BYTES", 512)
    records = [
        {"id": str(n), "conversations": [{"from": "human", "value": "x" * size}]}
        for n, size in enumerate((10, 20_000, 10))
    ]
    path = tmp_path / "big.json"
    path.write_text(json.dumps(records))
    reading = open_log(path)
    assert [one.id for one in reading.conversations] == ["0", "2"]
    assert len(reading.skipped) == 1
    assert "over the limit of 5,000" in reading.skipped[0].reason


def _array(count: int) -> list[dict[str, Any]]:
    return [{"uuid": f"c{n}", "chat_messages": [{"uuid": "m", "sender": "human", "text": "olá"}]} for n in range(count)]


def test_a_zip_is_read_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations-000.json", json.dumps(_array(2)))
        archive.writestr("deep/conversations-001.json", json.dumps(_array(1)))
        archive.writestr("users.json", json.dumps([{"uuid": "u", "full_name": "Ana"}]))
        archive.writestr("picture.png", b"\x89PNG")
        archive.writestr("inner.zip", b"PK\x03\x04")
    assert detect_format(path) == "zip"
    reading = open_log(path)
    conversations = list(reading.conversations)
    assert reading.format == "zip"
    assert [(one.format, one.path) for one in conversations] == [
        ("claude-ai", path / "conversations-000.json"),
        ("claude-ai", path / "conversations-000.json"),
        ("claude-ai", path / "deep/conversations-001.json"),
    ]
    assert reading.dropped == {"other file in the zip": 3}
    assert list(tmp_path.iterdir()) == [path]


def test_a_zip_bomb_an_encrypted_member_and_a_torn_zip_are_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", json.dumps(_array(1)))
        archive.writestr("bomb.json", b" " * 40_000_000)
        archive.writestr("locked.json", json.dumps(_array(1)))
    raw = bytearray(path.read_bytes())
    flags = raw.rfind(b"PK\x01\x02", 0, raw.rfind(b"locked.json")) + 8
    raw[flags] |= 1
    path.write_bytes(raw)
    reading = open_log(path)
    assert [one.id for one in reading.conversations] == ["c0"]
    assert [(item.path.name, item.reason.split(";")[0].split(":")[-1].strip()) for item in reading.skipped] == [
        ("bomb.json", "a zip bomb"),
        ("locked.json", "encrypted"),
    ]
    torn = tmp_path / "torn.zip"
    torn.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(UsageError, match=r"torn\.zip: a broken zip"):
        list(open_log(torn).conversations)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"[1, 2]", b'{"name": "Ana"}\n', b"\x00\xff\x00", b"# Notes\n\ntext"]
)
def test_other_content_is_no_log(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "conversations.json"
    path.write_bytes(content)
    assert detect_format(path) == ""
    with pytest.raises(UsageError, match="not a log in a known format"):
        open_log(path)


def test_files_that_cannot_be_read_and_tails_that_cannot_stand_alone_say_so(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match=r"missing\.json"):
        open_log(tmp_path / "missing.json")
    with pytest.raises(ResumeError, match="read whole"):
        open_log(SAMPLES / "gptme.jsonl", (10, 1))
    with pytest.raises(UsageError, match="several conversations"):
        read_transcript(SAMPLES / "sharegpt.jsonl")


def test_a_byte_order_mark_hides_nothing(tmp_path: Path) -> None:
    for name in ("claude-code-sample.jsonl", "claude-ai-conversations.json"):
        path = tmp_path / name
        path.write_bytes(b"\xef\xbb\xbf" + (SAMPLES / name).read_bytes())
        assert _shape(list(open_log(path).conversations)) == _shape(list(open_log(SAMPLES / name).conversations))


@pytest.mark.parametrize("layout", ["line", "array"])
def test_a_line_of_60_mb_is_one_report_and_memory_stays_bounded(tmp_path: Path, layout: str) -> None:
    good = json.dumps({"id": "x", "conversations": [{"from": "human", "value": "hello"}]}).encode()
    begin, between, end = (b"", b"\n", b"\n") if layout == "line" else (b"[", b",", b"]")
    path = tmp_path / "big.jsonl"
    with path.open("wb") as file:  # in pieces: the child's peak counts what this process held when it forked
        file.write(begin + good + between + good[:-10])
        for _ in range(60):
            file.write(b"y" * 1_000_000)
        file.write(good[-10:] + between + good + end)
    code = (
        "import resource, sys; from pathlib import Path; from memory.transcripts.read import open_log\n"
        "reading = open_log(Path(sys.argv[1])); found = len(list(reading.conversations))\n"
        # On Linux ru_maxrss begins with what the parent held when it forked; VmHWM is of this program alone.
        "status = Path('/proc/self/status')\n"
        "lines = status.read_text().splitlines() if status.exists() else []\n"
        "own = [int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM')]\n"
        "print(found, len(reading.skipped), *own or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss])"
    )
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    found, skipped, peak_bytes = map(int, run.stdout.split())
    assert (found, skipped) == (2, 1)
    assert peak_bytes < 220_000_000  # 100 MB and four of the limit would be 234


def test_lines_of_bare_messages_are_one_conversation_with_a_stable_id(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "olá"}, {"role": "assistant", "content": "Olá, Ana."}]
    by_line = write_lines(tmp_path / "a.jsonl", *messages)
    array = tmp_path / "b.json"
    array.write_text(json.dumps(messages))
    first, second = read_transcript(by_line), read_transcript(array)
    assert [turn.text for turn in first.turns] == ["olá", "Olá, Ana."]
    assert (first.format, second.format) == ("openai", "openai")
    assert first.id == second.id
    assert len(first.id) == 16
