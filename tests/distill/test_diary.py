"""The diary of molts tells measured differences, and nothing that lies within its interval."""

import json
from importlib import resources
from pathlib import Path

from distill.diary import HEAD, entry, write

SHIPPED = json.loads(resources.files("identity").joinpath("molt-0001/report.json").read_text())


def test_what_moved_beyond_its_interval_is_told() -> None:
    text = entry(SHIPPED, "2026-11-20T10:00:00+00:00")
    assert text.startswith("## Molt 1, 2026-11-20: promoted\n")
    assert "842 replies in 229 conversations (842 new), compared with the base" in text
    assert "- held-out text, bits per byte: 1.516 -> 1.312" in text
    assert "- replies that pass for the teacher's, %: 21 -> 88" in text
    assert "loop" not in text
    assert "refusals" not in text


def test_a_molt_that_changed_nothing_says_so_and_why_it_was_turned_down() -> None:
    report = {**SHIPPED, "differences": {}, "verdict": {"verdict": "rejected", "reasons": ["held-out text is worse"]}}
    text = entry(report, "2026-11-20")
    assert "- nothing that was measured is different" in text
    assert "- the gate: held-out text is worse" in text


def test_entries_are_appended_once_and_the_persons_words_stay(tmp_path: Path) -> None:
    write(tmp_path, "## Molt 1\n\n- better\n")
    path = tmp_path / "MOLTS.md"
    path.write_text(path.read_text() + "\nI liked this one.\n")
    write(tmp_path, "## Molt 1\n\n- better\n")
    write(tmp_path, "## Molt 2\n")
    text = path.read_text()
    assert text.startswith(HEAD)
    assert text.count("## Molt 1") == 1
    assert text.index("I liked this one.") < text.index("## Molt 2")
