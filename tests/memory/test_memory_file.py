"""MEMORY.md: parsed into entries with the lines they stand on, edited one entry at a time."""

import threading
from pathlib import Path

import pytest

from memory.errors import UsageError
from memory.memory_file import add_entry, parse, remove_lines
from tests.memory.conftest import MEMORY_MD

SAMPLE = """# MEMORY

Before any heading,
over two lines.

## Machines
- Concha: fanless.
  32 GB of memory.
  - nested: Debian
* Baleia: a disk

1. numbered

### Router
```
- not a bullet

# not a heading
```
"""


def test_entries_have_their_lines_and_heading_path() -> None:
    found = [(e.text, e.heading, e.line_start, e.line_end, e.is_bullet) for e in parse(SAMPLE)]
    assert found == [
        ("Before any heading,\nover two lines.", "", 3, 4, False),
        ("Concha: fanless.\n32 GB of memory.\n- nested: Debian", "Machines", 7, 9, True),
        ("Baleia: a disk", "Machines", 10, 10, True),
        ("numbered", "Machines", 12, 12, True),
        ("```\n- not a bullet\n\n# not a heading\n```", "Machines > Router", 15, 19, False),
    ]


def test_sample_file_is_one_entry_a_bullet() -> None:
    lines = MEMORY_MD.read_text().splitlines()
    entries = parse(MEMORY_MD.read_text())
    assert [lines[entry.line_start - 1] for entry in entries] == [line for line in lines if line.startswith("- ")]


@pytest.mark.parametrize(
    "content", ["", "\n\n", "# MEMORY\n", "##\n", "```\nnever closed", "- \n", "\ufeff- a\r\n- b\r\n"]
)
def test_odd_files_are_parsed(content: str) -> None:
    for entry in parse(content):
        assert entry.text.strip()
        assert 1 <= entry.line_start <= entry.line_end <= len(content.splitlines())


def test_add_goes_under_the_heading_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "MEMORY.md"
    path.write_text(MEMORY_MD.read_text())
    before = path.read_text().splitlines()
    line, added = add_entry(path, "The backup disk Baleia has 4 TB")
    after = path.read_text().splitlines()
    assert added
    assert after[line - 1] == "- The backup disk Baleia has 4 TB"
    assert after[: line - 1] + after[line:] == before
    assert next(e.heading for e in parse(path.read_text()) if e.line_start == line) == "Machines"


def test_add_makes_notes_where_nothing_fits_and_says_when_it_is_there_already(tmp_path: Path) -> None:
    path = tmp_path / "MEMORY.md"
    assert add_entry(path, "zebra\n quagga") == (4, True)
    assert path.read_text() == "# MEMORY\n\n## Notes\n- zebra quagga\n"
    assert add_entry(path, "okapi") == (5, True)
    assert add_entry(path, "Zebra  quagga") == (4, False)
    assert path.read_text().count("##") == 1
    with pytest.raises(UsageError, match="nothing to remember"):
        add_entry(path, " \n ")


def test_removal_takes_the_located_lines_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "MEMORY.md"
    path.write_text("# MEMORY\n- a\n- b\n  more b\n- c\n")
    path.chmod(0o640)
    assert remove_lines(path, lambda content: (3, 4) if "more b" in content else None) == 3
    assert path.read_text() == "# MEMORY\n- a\n- c\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert remove_lines(path, lambda _: None) == 0


def test_writers_at_once_lose_no_entry(tmp_path: Path) -> None:
    path = tmp_path / "MEMORY.md"
    threads = [threading.Thread(target=add_entry, args=(path, f"entry number{n}")) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.text for entry in parse(path.read_text())} == {f"entry number{n}" for n in range(16)}
