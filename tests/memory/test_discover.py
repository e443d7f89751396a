"""Finding files: the logs of other programs, odd things in folders, and what is no file at all."""

import os
import socket
from pathlib import Path

import pytest

from memory.api import Memory
from memory.discover import discover, files_in, log_folders
from memory.errors import UsageError
from memory.transcripts.model import Skipped


def _home_with_logs(root: Path) -> list[Path]:
    places = [root / ".claude/projects", root / ".openclaw/agents/a/sessions", root / ".openclaw/agents/b/sessions"]
    for place in places:
        place.mkdir(parents=True)
    (root / ".openclaw/agents/c").mkdir()
    return places


def test_logs_of_both_programs_are_found_below_home(tmp_path: Path) -> None:
    places = _home_with_logs(tmp_path)
    assert discover({"HOME": str(tmp_path)}) == places


def test_claude_code_may_live_elsewhere(tmp_path: Path) -> None:
    places = _home_with_logs(tmp_path)
    elsewhere = tmp_path / "else"
    assert log_folders({"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": str(elsewhere)})[0] == elsewhere / "projects"
    assert discover({"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": str(elsewhere)}) == places[1:]


def test_where_there_is_nothing_the_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.claude/projects or .*\.openclaw/agents/\*/sessions; give a path"):
        discover({"HOME": str(tmp_path)})


def test_odd_things_in_a_folder_are_lines_and_nothing_waits(memory: Memory, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.md").write_text("- a good entry here\n")
    (folder / "deep" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "gone.md").symlink_to(folder / "nothing.md")
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "null.md").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "s"))
        report = memory.ingest([folder, folder / "pipe.jsonl"])
    assert {str(item.path.relative_to(folder)): item.reason for item in report.skipped} == {
        "deep/loop": "a link to a folder; give the folder itself",
        "gone.md": "cannot be read (No such file or directory)",
        "pipe.jsonl": "a pipe, not a file",
        "null.md": "a device, not a file",
        "s": "a socket, not a file",
    }
    assert [found.text for found in memory.list()] == ["a good entry here"]


def test_a_folder_that_may_not_be_opened_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b.md").write_text("- b\n")
    scandir = os.scandir

    def refuse(path: str) -> object:  # root, who runs the tests in a container, may open everything
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    skipped: list[Skipped] = []
    assert list(files_in([tmp_path], skipped)) == [tmp_path / "b.md"]
    assert [(item.path, item.reason) for item in skipped] == [(tmp_path / "a", "cannot be read (Permission denied)")]


def test_a_name_that_is_no_text_or_too_long_is_a_line(memory: Memory, tmp_path: Path) -> None:
    folder = tmp_path / "names"
    folder.mkdir()
    Path(os.fsdecode(bytes(folder) + b"/caf\xe9.md")).write_text("- words in it\n")
    report = memory.ingest([folder, tmp_path / ("x" * 300)])
    assert sorted(item.reason for item in report.skipped) == [
        "cannot be read (File name too long)",
        "its name is not UTF-8; rename it",
    ]
    assert memory.list() == []


def test_a_file_that_vanishes_before_it_is_read_is_a_line(memory: Memory, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.md").write_text(f"- the entry of {name}\n")

    def remove_next(now: object) -> None:
        (tmp_path / "b.md").unlink(missing_ok=True)

    report = memory.ingest([tmp_path], on_progress=remove_next)
    skipped = {item.path.name: item.reason for item in report.skipped}
    assert skipped["b.md"] == "cannot be read (No such file or directory)"
    assert len(memory.list()) == 2
