"""MEMORY.md: parsed into entries with the lines they stand on, edited one entry at a time."""

import threading
from pathlib import Path

import pytest

from memory.errors import HomeError, UsageError
from memory.memory_edit import add_entry, cut_texts, remove_lines, take_back
from memory.memory_file import lines_of, parse
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
        assert 1 <= entry.line_start <= entry.line_end <= len(lines_of(content))


def test_add_goes_under_the_heading_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "MEMORY.md"
    path.write_text(MEMORY_MD.read_text())
    before = path.read_text().splitlines()
    edit = add_entry(path, "The backup disk Baleia has 4 TB")
    after = path.read_text().splitlines()
    assert edit.is_new
    line = edit.line
    assert after[line - 1] == "- The backup disk Baleia has 4 TB"
    assert after[: line - 1] + after[line:] == before
    assert next(e.heading for e in parse(path.read_text()) if e.line_start == line) == "Machines"


def test_add_makes_notes_where_nothing_fits_and_says_when_it_is_there_already(tmp_path: Path) -> None:
    path = tmp_path / "MEMORY.md"
    edits = [add_entry(path, text) for text in ("zebra\n quagga", "okapi", "Zebra  quagga")]
    assert [(edit.line, edit.is_new) for edit in edits] == [(4, True), (5, True), (4, False)]
    assert path.read_text() == "# MEMORY\n\n## Notes\n- zebra quagga\n- okapi\n"
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


ODD = [
    b"",
    b"# MEMORY",
    b"# MEMORY\n\n## Notes\n- a\n",
    b"\xef\xbb\xbf# MEMORY\r\n\r\n## Notes\r\n- a\r\n\r\n## Work\r\n- b",
    b"- broken \xff\xfe bytes\n- a\x00b\x0cc\xe2\x80\xa8d\n\n\n",
    b"- old\r- mac",
]


@pytest.mark.parametrize("before", ODD)
def test_every_other_byte_stays_and_undo_restores_the_file(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "MEMORY.md"
    path.write_bytes(before)
    edit = add_entry(path, "the spare key hangs by the door")
    data = path.read_bytes()
    assert data[: edit.offset] + data[edit.offset + edit.length :] == before
    (entry,) = [entry for entry in parse(data.decode("utf-8-sig", "replace")) if "spare key" in entry.text]
    assert (entry.text, entry.line_start) == ("the spare key hangs by the door", edit.line)
    assert take_back(path, edit)
    assert path.read_bytes() == before
    assert not take_back(path, edit)


def test_undo_of_the_first_entry_leaves_no_file_and_a_changed_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "MEMORY.md"
    edit = add_entry(path, "one")
    assert take_back(path, edit)
    assert not path.exists()
    edit = add_entry(path, "one")
    add_entry(path, "two")
    assert not take_back(path, edit)
    assert "- one\n- two\n" in path.read_text()


def test_a_linked_file_stays_a_link_and_a_read_only_one_is_left_alone(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.md"
    real.write_text("# MEMORY\n")
    path = tmp_path / "MEMORY.md"
    path.symlink_to(real)
    add_entry(path, "one")
    assert path.is_symlink()
    assert "- one" in real.read_text()
    real.chmod(0o444)
    with pytest.raises(HomeError, match=r"MEMORY\.md: is read-only; make it writable"):
        add_entry(path, "two")
    assert "two" not in real.read_text()


def test_a_text_is_cut_from_between_other_words(tmp_path: Path) -> None:
    path = tmp_path / "note.md"
    path.write_bytes(b"- I said: the Well is\n  under the oak! And more \xff.\n- The well is under the oak.\n- kept\n")
    found = cut_texts(path, [b" the well is under the oak "])
    assert [line for line, _ in found] == [1, 3]
    assert path.read_bytes() == b"- I said: ! And more \xff.\n- kept\n"
    assert cut_texts(path, [b" the well is under the oak "]) == []


def test_what_a_killed_writer_left_is_cleared_and_an_editors_file_is_not(tmp_path: Path) -> None:
    for name in (".MEMORY.md.abcd_123", ".MEMORY.md.swp"):
        (tmp_path / name).write_text("- old words\n")
    add_entry(tmp_path / "MEMORY.md", "one")
    assert [path.name for path in tmp_path.glob(".MEMORY.md.*") if path.suffix != ".lock"] == [".MEMORY.md.swp"]
