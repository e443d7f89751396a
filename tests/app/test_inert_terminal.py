"""Zero bytes that a terminal obeys, captured at a PTY: the corpus through reply, memories, tool results and titles."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from escape_sequences import SEQUENCES

from memory.home import Home
from molting_agent.clean import UNSAFE

PROGRAM = """
import sys
from molting_agent.cli import main
from molting_agent.runtime.echo import EchoEngine
from molting_agent.runtime.protocol import Delta
from molting_agent.speaker import Speaker
sys.path.insert(0, {tests!r})
from escape_sequences import SEQUENCES

EVIL = "".join(f"marked{{number}}{{sequence}}" for number, (sequence, _) in enumerate(SEQUENCES))

class Engine(EchoEngine):
    def generate(self, segments, **options):
        for item in super().generate(segments, **options):
            if isinstance(item, Delta) and not options.get("aside"):  # every cut that a stream can have
                yield from map(Delta, item.text)
            else:
                yield item

def reply(asked):
    return '{{"path": "evil.txt"}}' if asked.startswith("Person: ") else EVIL

Speaker._engine_client = lambda *_: Engine(reply)
for arguments in {commands!r}:
    print("COMMAND", arguments[0])
    try:
        main([EVIL.encode("utf-8", "ignore").decode() if word == "EVIL" else word for word in arguments])
    except SystemExit as end:
        print("CODE", end.code)
"""
COMMANDS = [
    ["ask", "EVIL"],
    ["ask", "read", "evil.txt"],
    ["ask", "what", "is", "marked", "--json"],
    ["recall", "marked"],
    ["recall", "marked", "--json"],
    ["memory", "ls"],
    ["sessions", "ls"],
    ["sessions", "ls", "--json"],
    ["sessions", "search", "marked"],
    ["sessions", "export", "last"],
    ["molts", "show", "EVIL"],
]


@pytest.fixture
def said(home: Home, tmp_path: Path) -> str:
    """What the commands put on a terminal, byte for byte."""
    work = tmp_path / "work"
    work.mkdir()
    evil = "".join(f"marked{number}{sequence}" for number, (sequence, _) in enumerate(SEQUENCES))
    evil_bytes = evil.encode("utf-8", "surrogatepass")
    (work / "evil.txt").write_bytes(evil_bytes)
    lines = [f"- marked {number} {sequence} memory" for number, (sequence, _) in enumerate(SEQUENCES)]
    home.memory_file.write_bytes("\n".join(["# MEMORY", *lines]).encode("utf-8", "ignore"))
    code = PROGRAM.format(tests=str(Path(__file__).parent), commands=COMMANDS)
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=work,
        env={**os.environ, "MOLTING_HOME": str(home.root), "PYTHONPATH": str(Path(__file__).parents[2])},
        start_new_session=True,
    ) as process:
        os.close(slave)
        output = b""
        while True:
            try:
                output += (chunk := os.read(master, 65536))
            except OSError:  # the other side is closed
                break
            if not chunk:
                break
        process.wait()
    os.close(master)
    return output.decode("utf-8")


def test_no_sink_passes_a_byte_that_a_terminal_obeys(said: str) -> None:
    text = said.replace("\r\n", "\n")
    assert [text[max(0, match.start() - 30) : match.end() + 10] for match in UNSAFE.finditer(text)] == []
    # It was not empty: every command said something, and the marks around the sequences came through.
    parts = text.split("COMMAND ")[1:]
    assert len(parts) == len(COMMANDS)
    for part, arguments in zip(parts, COMMANDS, strict=True):
        assert "marked" in part, arguments
    assert "[read_file evil.txt]" in text
    assert len(SEQUENCES) >= 60
