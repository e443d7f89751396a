"""Ingest: what it counts, what it leaves alone the second time, and what it says of files it cannot read."""

import shutil
from pathlib import Path

import pytest

from memory.api import Memory
from memory.values import IngestProgress
from tests.memory.conftest import CLAUDIO, MEMORY_MD, own_session, write_lines

REPLIES = 70
"""Lines with a rationale in the sample logs, counted without our readers; a question before each."""


def test_real_counts_and_a_second_run_adds_nothing(memory: Memory) -> None:
    seen: list[IngestProgress] = []
    report = memory.ingest([MEMORY_MD, CLAUDIO], on_progress=seen.append)
    assert (report.files, report.unchanged, report.skipped, report.dropped) == (21, 0, [], {})
    assert report.formats == {"markdown": 1, "claude-code": 10, "pi": 10}
    assert (report.conversations, report.turns) == (20, 2 * REPLIES)
    assert (report.human_turns, report.agent_turns, report.rationales) == (REPLIES,) * 3
    assert report.memories >= 17 + REPLIES
    assert (seen[0].done, seen[-1].done, seen[-1].total) == (0, 21, 21)
    before = memory.stats()
    again = memory.ingest([MEMORY_MD, CLAUDIO])
    assert (again.files, again.unchanged, again.memories, again.conversations, again.changed) == (21, 21, 0, 0, False)
    assert memory.stats() == before


def test_touched_file_is_not_read_again(memory: Memory, tmp_path: Path) -> None:
    path = tmp_path / "note.md"
    path.write_text("- a thing to remember\n")
    memory.ingest([path])
    path.touch()
    assert memory.ingest([path]).unchanged == 1


def test_an_edited_line_changes_one_memory_and_moves_the_others(memory: Memory, tmp_path: Path) -> None:
    path = tmp_path / "note.md"
    path.write_text("- first thing\n- second thing\n- third thing\n")
    memory.ingest([path])
    before = {found.text: found.id for found in memory.list()}
    path.write_text("# New\n\n- first thing\n- another thing\n- third thing\n")
    report = memory.ingest([path])
    assert (report.memories, report.removed) == (3, 1), "the new heading is searched with every entry"
    path.write_text("# New\n\n\n- first thing\n- yet another thing\n- third thing\n")
    report = memory.ingest([path])
    assert (report.memories, report.removed) == (1, 1)
    after = {found.text: found for found in memory.list()}
    assert after["first thing"].id == before["first thing"]
    assert after["first thing"].citation.endswith("note.md:4")


def test_the_same_conversation_under_two_paths_is_not_doubled(memory: Memory, tmp_path: Path) -> None:
    whole = sorted((CLAUDIO / "openclaw").glob("*.jsonl"))[0]
    short = tmp_path / "short" / whole.name
    short.parent.mkdir()
    short.write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[:4]))
    memory.ingest([short])
    assert memory.stats()["turns"] == 2
    longer = memory.ingest([whole])
    assert longer.conversations == 1
    again = memory.ingest([short, Path(shutil.copy(whole, tmp_path / "copy.jsonl"))])
    assert (again.duplicates, again.memories) == (2, 0)
    stats = memory.stats()
    assert stats["conversations"] == 1
    assert stats["turns"] == longer.turns > 2


def test_a_resumed_session_does_not_repeat_its_beginning(memory: Memory, tmp_path: Path) -> None:
    def record(uuid: str, session: str, text: str) -> dict[str, object]:
        return {"type": "user", "uuid": uuid, "sessionId": session, "message": {"role": "user", "content": text}}

    first = write_lines(tmp_path / "1.jsonl", record("u1", "s1", "the very first words"))
    second = [record("u1", "s2", "the very first words"), record("u2", "s2", "and what came later")]
    memory.ingest([first, write_lines(tmp_path / "2.jsonl", *second)])
    texts = [[turn.text for turn in talk.turns] for talk in memory.conversations()]
    assert texts == [["the very first words"], ["and what came later"]]


def test_what_cannot_be_read_is_a_line_of_the_report(memory: Memory, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.md").write_text("- good entry here\n")
    (folder / "b.jsonl").write_text('{"messages": []}\n')
    (folder / "c.jsonl").write_bytes(b"")
    (folder / "d.png").write_bytes(b"\x89PNG")
    (folder / "e.txt").write_bytes(b"\0\1\2")
    (folder / "f.md").symlink_to("f.md")  # too many levels of links: fails for root too, as permissions do not
    (folder / ".hidden.md").write_text("- not looked at\n")
    report = memory.ingest([folder, tmp_path / "absent"])
    reasons = {item.path.name: item.reason for item in report.skipped}
    assert reasons.keys() == {"b.jsonl", "c.jsonl", "d.png", "e.txt", "f.md", "absent"}
    assert reasons["b.jsonl"] == "not a log in a known format"
    assert reasons["c.jsonl"] == "empty file"
    assert reasons["absent"] == "no such file"
    assert "cannot be read" in reasons["f.md"]
    assert [found.text for found in memory.list()] == ["good entry here"]


def test_damaged_lines_of_a_log_are_in_the_report(memory: Memory, tmp_path: Path) -> None:
    source = sorted((CLAUDIO / "claude-code").glob("*.jsonl"))[0]
    path = tmp_path / "torn.jsonl"
    path.write_bytes(source.read_bytes()[:-200])
    report = memory.ingest([path])
    assert [item.reason for item in report.skipped] == ["torn last line"]
    assert report.conversations == 1


def test_invalid_utf8_in_a_note_is_replaced(memory: Memory, tmp_path: Path) -> None:
    path = tmp_path / "note.md"
    path.write_bytes(b"\xef\xbb\xbf- caf\xe9 com leite\n")
    memory.ingest([path])
    assert [found.text for found in memory.list()] == ["caf\ufffd com leite"]


def test_a_dry_run_counts_the_same_and_keeps_nothing(memory: Memory) -> None:
    rehearsal = memory.ingest([CLAUDIO], dry_run=True)
    assert rehearsal.dry_run
    assert memory.stats()["memories"] == memory.stats()["sources"] == 0
    assert memory.ingest([CLAUDIO]).memories == rehearsal.memories > 0


def test_labels_stay_until_they_are_changed(memory: Memory, tmp_path: Path) -> None:
    path = tmp_path / "diary.md"
    path.write_text("- a private matter\n")
    memory.ingest([path], label="private")
    path.write_text("- a private matter\n- another one too\n")
    memory.ingest([path])
    assert {found.label for found in memory.list()} == {"private"}
    memory.ingest([path], label="never-train")
    assert {found.label for found in memory.list()} == {"never-train"}
    memory.ingest([CLAUDIO / "openclaw"], label="never-train")
    assert {turn.label for talk in memory.conversations() for turn in talk.turns} == {"never-train"}


def test_sync_follows_the_homes_files(memory: Memory) -> None:
    home = memory.home
    shutil.copy(MEMORY_MD, home.memory_file)
    (home.notes_dir / "2026-02-08.md").write_text("# Day\n\nIt rained on the ferry.\n")
    writer, _ = own_session(home, ("the boat is called Garça", "Noted."))
    report = memory.sync()
    assert (report.files, report.conversations) == (3, 1)
    assert {found.citation.split(":")[0] for found in memory.list() if not found.message_id} == {
        "MEMORY.md",
        "memory/2026-02-08.md",
    }
    assert not memory.sync().changed
    (home.notes_dir / "2026-02-08.md").unlink()
    writer.path.unlink()
    assert memory.sync().removed == 2
    assert memory.recall("rain on the ferry boat Garça") == []
    assert memory.stats()["conversations"] == 0


def test_conversations_come_back_as_they_were_read(memory: Memory) -> None:
    writer, (first, second) = own_session(memory.home, ("hello you", "Hi."), ("one more thing", "Yes?"))
    writer.rate(first, 1)
    writer.edit(second, "Tell me.")
    memory.sync()
    memory.ingest([CLAUDIO])
    talks = list(memory.conversations())
    assert [talk.started_at for talk in talks] == sorted(talk.started_at for talk in talks)
    own = [talk for talk in talks if talk.own]
    assert [(t.role, t.spoken_by, t.approved, t.edited_text) for t in own[0].turns] == [
        ("user", None, None, None),
        ("assistant", 1, True, None),
        ("user", None, None, None),
        ("assistant", 1, None, "Tell me."),
    ]
    assert all(turn.rationale for talk in talks if not talk.own for turn in talk.turns if turn.role == "assistant")


@pytest.mark.parametrize("text", ["The spare key hangs by the door", "  spaces   and\nlines  "])
def test_add_gives_a_receipt_that_resolves(memory: Memory, text: str) -> None:
    receipt = memory.add(text)
    assert receipt.action == "added"
    assert Path(receipt.path).read_text().splitlines()[receipt.line - 1] == f"- {' '.join(text.split())}"
    (found,) = memory.get([receipt.id, "unknown"])
    assert found.citation == f"MEMORY.md:{receipt.line}"
    assert memory.add(text).action == "kept"
    assert memory.stats()["memories"] == 1
