"""Ten thousand broken lines: no exception escapes a reader, and every line that was left alone is kept."""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.errors import MoltingError
from memory.transcripts.read import open_log
from tests.memory.conftest import FIXTURES

SAMPLES = FIXTURES / "transcripts"
LINES_A_FILE = 14
FILES_A_FORMAT = 160
HOSTILE: list[Any] = [
    None, True, -1, 1e308, float("nan"), float("inf"), 10**400, "", "\ud800", "\0", "x" * 3000, [], {}, [[]], [None],
    {"": {}}, [{"type": None}], "2026-01-01", {"type": "text", "text": 7}, ["a", 1, {"text": "b"}],
]  # fmt: skip


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in items for found in _paths(item, (*path, key)))]


def _swapped(line: bytes, chance: random.Random) -> bytes:
    """A value anywhere in the record replaced by one of another type."""
    record = json.loads(line)
    path = chance.choice(_paths(record)[1:] or [()])
    if not path:
        return b"null"
    target = record
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = chance.choice(HOSTILE)
    return json.dumps(record).encode()


def _flipped(line: bytes, chance: random.Random) -> bytes:
    raw = bytearray(line)
    for _ in range(chance.randint(1, 4)):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return bytes(raw).replace(b"\n", b" ")


def _deep(line: bytes, chance: random.Random) -> bytes:
    depth = chance.choice([50, 500, 1020, 3000, 100_000])
    return line.rstrip()[:-1] + b', "deep": ' + b"[" * depth + b"]" * depth + b"}"


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    _swapped,
    _swapped,
    _swapped,
    _flipped,
    _deep,
    lambda line, chance: line[: chance.randrange(len(line))],
    lambda line, chance: line[chance.randrange(len(line)) :],
    lambda line, chance: line.replace(b'"', b'"\0', chance.randint(1, 3)),
    lambda line, chance: line.replace(b"e", b"\xff", chance.randint(1, 3)),
    lambda line, chance: line.replace(b"a", b"\\ud83d", chance.randint(1, 3)),
    lambda line, chance: bytes(chance.randrange(256) for _ in range(60)).replace(b"\n", b""),
]


def _good(log_format: str, number: int) -> tuple[bytes, str]:
    """A sound line of a format and the human words in it that must come out."""
    words = f"a sound question, number {number}"
    talk = {
        "claude-code": {"type": "user", "uuid": f"g{number}", "sessionId": "s", "message": {"content": words}},
        "pi": {"type": "message", "message": {"role": "user", "content": words}},
        "gptme": {"role": "user", "content": words, "timestamp": "2026-01-01T00:00:00"},
        "sharegpt": {"id": f"g{number}", "conversations": [{"from": "human", "value": words}]},
        "openai": {"messages": [{"role": "user", "content": words}]},
        "claude-ai": {"uuid": f"g{number}", "chat_messages": [{"sender": "human", "text": words}]},
        "chatgpt": {"id": f"g{number}", "current_node": "a", "mapping": {"a": {"message": {
            "author": {"role": "user"}, "content": {"content_type": "text", "parts": [words]}}}}},
    }  # fmt: skip
    return json.dumps(talk[log_format]).encode(), words


def _real_lines(log_format: str) -> list[bytes]:
    """Lines (or elements, a line each) of the samples of a format."""
    if log_format in ("claude-ai", "chatgpt"):
        found = []
        for path in sorted(SAMPLES.glob(f"{log_format}-*.json")):
            value = json.loads(path.read_text())
            found += [json.dumps(item).encode() for item in (value if isinstance(value, list) else [value])]
        return found
    pattern = {"openai": "openai-*", "gptme": "gptme*", "sharegpt": "sharegpt*", "pi": "pi-v1*"}
    lines = [
        line
        for path in sorted(SAMPLES.glob(f"{pattern.get(log_format, log_format + '-rep*')}.jsonl"))
        for line in path.read_bytes().splitlines()
        if line.startswith(b"{") and line.endswith(b"}")
    ]
    return [line for line in lines if len(line) < 20_000]


def _broken_file(log_format: str, chance: random.Random) -> tuple[bytes, list[str]]:
    """A file of mutated real lines between sound ones, and what the sound ones say."""
    real = _real_lines(log_format)
    first, words = _good(log_format, 0)
    lines, expected = [first], [words]
    for number in range(1, LINES_A_FILE + 1):
        lines.append(chance.choice(MUTATIONS)(chance.choice(real), chance))
        if number % 4 == 0:
            line, words = _good(log_format, number)
            lines.append(line)
            expected.append(words)
    return b"\n".join(lines) + b"\n", expected


@pytest.mark.parametrize("log_format", ["claude-code", "pi", "gptme", "sharegpt", "openai", "claude-ai", "chatgpt"])
def test_broken_lines_cost_themselves_alone(tmp_path: Path, log_format: str) -> None:
    path = tmp_path / "log.jsonl"
    lines = 0

    @settings(max_examples=FILES_A_FORMAT, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False))
    def check(chance: random.Random) -> None:
        nonlocal lines
        content, expected = _broken_file(log_format, chance)
        path.write_bytes(content)
        lines += LINES_A_FILE
        said = [
            turn.text
            for one in open_log(path).conversations
            for turn in one.turns
            if turn.role == "user" and turn.text.encode()
        ]
        assert [words for words in expected if words not in said] == []

    check()
    assert lines >= 1500  # seven formats make ten thousand


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.binary(max_size=400), st.sampled_from([b"", b"[", b"{", b"PK\x03\x04", b'[{"mapping": {', b'{"messages": [{'])
)
def test_any_bytes_are_a_log_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, head: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.json"
    path.write_bytes(head + body)
    with suppress(MoltingError):
        list(open_log(path).conversations)
