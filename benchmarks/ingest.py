"""Logs in: reading against the plain parsing of their JSON, scrubbing, and the time until they can be searched.

.venv/bin/python benchmarks/ingest.py FOLDER [REPEATS]

FOLDER holds Claude Code logs. Reading and scrubbing are timed in this process, on one core.
"""

import statistics
import sys
import tempfile
from pathlib import Path

import orjson
from common import print_table, ratios, seconds, spread

from memory.api import Memory
from memory.home import Home
from memory.scrub import Scrubber
from memory.transcripts.read import open_log

MEGA = 1e6


def parse_only(paths: list[Path]) -> None:
    """The least that any reader must do: each line through orjson; damaged lines are passed over."""
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                try:
                    orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue


def texts_of(paths: list[Path]) -> list[list[str]]:
    """The words of each conversation: turns and rationales."""
    talks = [talk for path in paths for talk in open_log(path).conversations]
    return [[text for turn in talk.turns for text in (turn.text, turn.rationale) if text] for talk in talks]


def scrub(talks: list[list[str]]) -> None:
    for texts in talks:
        scrubber = Scrubber()
        for text in texts:
            scrubber.scrub(text)


def ingest(folder: Path, home: Home) -> None:
    memory = Memory(home)
    memory.ingest([folder])
    memory.close()


def main() -> None:
    folder, repeats = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    paths = sorted(folder.rglob("*.jsonl"))
    megabytes = sum(path.stat().st_size for path in paths) / MEGA
    talks = texts_of(paths)
    words = sum(len(text.encode()) for texts in talks for text in texts) / MEGA
    reading, parsing, scrubbing, first, again = [], [], [], [], []
    for _ in range(repeats):
        reading.append(seconds(lambda: texts_of(paths)))
        parsing.append(seconds(lambda: parse_only(paths)))
        scrubbing.append(seconds(lambda: scrub(talks)))
        with tempfile.TemporaryDirectory() as place:
            home = Home(Path(place))
            first.append(seconds(lambda home=home: ingest(folder, home)))
            again.append(seconds(lambda home=home: ingest(folder, home)))
    read_mb_s = megabytes / statistics.median(reading)
    scrub_mb_s = words / statistics.median(scrubbing)
    print_table(
        f"Ingest, {len(paths)} files, {megabytes:.0f} MB of logs with {words:.1f} MB of words, {repeats} repeats",
        [
            ("reading", f"{read_mb_s:.0f} MB/s", "50 MB/s"),
            ("reading against orjson alone (times as long)", spread(ratios(reading, parsing)), ""),
            ("scrubbing", f"{scrub_mb_s:.1f} MB/s", "5 MB/s"),
            ("until all can be searched by words", f"{spread(first)} s", "30 s"),
            ("the same again, nothing changed", f"{spread(again)} s", ""),
        ],
    )


if __name__ == "__main__":
    main()
