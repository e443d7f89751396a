"""The molts on disk: promotion and rollback are atomic, a damaged molt is refused and somebody always speaks."""

import json
from pathlib import Path

import pytest

from distill.manifest import describe_files, write_manifest
from distill.registry import Registry
from memory.errors import MoltError

BASE, OTHER = "a" * 64, "b" * 64


def make_molt(molts: Path, number: int, base: str = BASE, verdict: str = "promoted") -> Path:
    folder = molts / f"{number:04d}"
    folder.mkdir(parents=True)
    (folder / "adapter.gguf").write_bytes(b"weights %d" % number)
    write_manifest(
        folder,
        {
            "schema": 1,
            "molt": number,
            "created_at": "2026-01-01T00:00:00Z",
            "base_sha256": base,
            "verdict": verdict,
            "title": f"molt {number}",
            "files": describe_files(folder, ["adapter.gguf"]),
        },
    )
    return folder


def test_the_base_speaks_until_a_molt_is_promoted_and_again_after_rollback(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    make_molt(tmp_path, 1)
    assert registry.champion(BASE) is None
    assert registry.changed_at() == 0
    registry.promote(1, BASE)
    assert registry.champion(BASE).number == 1
    assert registry.champion(OTHER) is None
    before = registry.changed_at()
    assert before > 0
    assert registry.rollback(BASE) == 0
    assert registry.champion(BASE) is None
    with pytest.raises(MoltError, match="no molt to return to"):
        registry.rollback(BASE)


def test_rollback_walks_the_line_and_passes_over_a_damaged_molt(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for number in (1, 2, 3):
        make_molt(tmp_path, number)
        registry.promote(number, BASE)
    registry.promote(3, BASE)
    (tmp_path / "0002" / "adapter.gguf").write_bytes(b"weights X")
    assert registry.rollback(BASE) == 1
    assert registry.rollback(BASE) == 0


def test_a_damaged_molt_is_not_promoted_and_the_champion_stays(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    make_molt(tmp_path, 1)
    registry.promote(1, BASE)
    folder = make_molt(tmp_path, 2)
    (folder / "adapter.gguf").write_bytes(b"weights 3")
    with pytest.raises(MoltError, match="sha256"):
        registry.promote(2, BASE)
    (folder / "adapter.gguf").unlink()
    with pytest.raises(MoltError, match="missing"):
        registry.promote(2, BASE)
    with pytest.raises(MoltError, match="another base"):
        registry.promote(1, OTHER)
    with pytest.raises(MoltError, match="no molt 9"):
        registry.promote(9, BASE)
    assert registry.load_champion(BASE)[0].number == 1
    assert [number for number, _why in registry.damaged()] == [2]


def test_a_damaged_champion_falls_back_along_the_line_and_says_so(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for number in (1, 2):
        make_molt(tmp_path, number)
        registry.promote(number, BASE)
    (tmp_path / "0002" / "manifest.json").write_text("{")
    molt, why = registry.load_champion(BASE)
    assert molt.number == 1
    assert "Molt 2 was refused" in why
    assert "\n" not in why
    (tmp_path / "0001" / "adapter.gguf").write_bytes(b"")
    molt, why = registry.load_champion(BASE)
    assert molt is None
    assert "The base" in why
    assert registry.next_number() == 3


def test_a_damaged_current_file_neither_stops_loading_nor_the_next_promotion(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    make_molt(tmp_path, 1)
    make_molt(tmp_path, 2, verdict="rejected")
    for broken in ("{", "[]", '{"x": 3}', json.dumps({BASE: {"molt": "x", "line": []}})):
        (tmp_path / "current").write_text(broken)
        molt, why = registry.load_champion(BASE)
        assert molt.number == 1
        assert "damaged" in why
    registry.promote(2, BASE)
    assert registry.champion(BASE).number == 2


def test_lists_by_base_and_leaves_out_what_cannot_be_read(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    make_molt(tmp_path, 1)
    make_molt(tmp_path, 2, base=OTHER)
    make_molt(tmp_path, 3)
    (tmp_path / "0003" / "manifest.json").write_text('{"schema": 1}')
    (tmp_path / ".training").mkdir()
    assert [molt.number for molt in registry.list()] == [1, 2]
    assert [molt.number for molt in registry.list(OTHER)] == [2]
    assert registry.next_number() == 4
