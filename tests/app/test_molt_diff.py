"""What differs between two molts: settings, what only one of them learnt from, and figures that can be compared."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from distill.manifest import describe_files, write_manifest
from distill.registry import Registry
from memory.home import Home
from molting_agent.cli import main
from molting_agent.molt_diff import diff_rows, molt_diff

TARGETS = [{"message": f"m{n}", "sha256": "ab"} for n in range(4)]
OLD: Mapping[str, Any] = {
    "config": {"epochs": 1.0, "lora_rank": 16, "gone": True},
    "targets": TARGETS[:3],
    "heldout": ["a", "b"],
}
NEW: Mapping[str, Any] = {
    "config": {"epochs": 3.0, "lora_rank": 16},
    "targets": [{"message": "m0", "sha256": "edited since"}, *TARGETS[1:]],
    "heldout": ["b", "a"],
}


def report(value: float) -> dict[str, Any]:
    return {"heldout_bits_per_byte": {"champion": 9.9, "candidate": value}, "general": {"candidate": None}}


def test_only_what_differs_is_told() -> None:
    found = molt_diff(OLD, NEW, report(1.4), report(1.3))
    assert found.settings == (("epochs", "1.0", "3.0"), ("gone", "True", ""))
    assert (found.unlearnt, found.learnt) == (1, 2)
    assert diff_rows(found)[-2:] == [
        ("held-out text, bits per byte", "1.400", "1.300"),
        ("general questions, probability of the right answer", "", ""),
    ]


def test_figures_over_other_conversations_are_marked() -> None:
    found = molt_diff(OLD, {**NEW, "heldout": ["c"]}, report(1.4), {})
    assert diff_rows(found)[-2] == ("held-out text, bits per byte *", "1.400", "")


def test_the_command_shows_two_of_one_line(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make_folders()
    registry = Registry(home.molts_dir)
    for number, values, base in ((11, OLD, "a"), (12, NEW, "a"), (13, NEW, "b")):
        folder = registry.folder(number)
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(json.dumps(report(number)))
        more = {"schema": 1, "molt": number, "created_at": "2026-02-08", "base_sha256": base, "verdict": "kept"}
        (folder / "adapter.gguf").write_bytes(b"weights")
        write_manifest(folder, {**values, **more, "files": describe_files(folder, ["adapter.gguf"])})

    def molt(*arguments: str) -> Any:
        return CliRunner().invoke(main, ["molts", "diff", *arguments, "--home", str(home.root)])

    assert re.search(r"^epochs +1\.0 +3\.0$", molt("11", "12").stdout, flags=re.MULTILINE)
    assert json.loads(molt("11", "12", "--json").stdout)["learnt"] == 2
    assert "of different base models" in molt("11", "13").stderr
    (registry.folder(12) / "report.json").write_text("{")
    assert "report.json is damaged" in molt("11", "12").stderr
    assert molt("11", "12").exit_code == 1
