"""A new home: what is in it, that nothing is overwritten, and that an interrupted start is finished by the next."""

import json
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from distill.manifest import describe_files, write_manifest
from distill.registry import Registry
from memory.errors import HomeError
from memory.home import Home
from molting_agent import identity
from molting_agent.identity import create_home
from molting_agent.paths import find_home

BASE = "b" * 64


def write_molt(folder: Path, number: int = 1, *, base: str = BASE) -> None:
    """A molt as distill writes it, with made-up weights."""
    folder.mkdir(parents=True)
    (folder / "adapter.gguf").write_bytes(b"weights")
    manifest = {"schema": 1, "molt": number, "created_at": "2026-01-01T00:00:00Z", "base_sha256": base}
    files = describe_files(folder, ["adapter.gguf"])
    write_manifest(folder, {**manifest, "verdict": "promoted", "files": files})


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An identity package with a molt in it."""
    package = tmp_path / "package"
    shutil.copytree(
        str(resources.files("identity")), package, ignore=shutil.ignore_patterns("molt-*", "__pycache__", "*.py")
    )
    write_molt(package / "molt-0001")
    monkeypatch.setattr(identity.resources, "files", lambda _name: package)
    return package


def test_a_new_home_has_identity_memory_settings_and_the_first_molt(tmp_path: Path, shipped: Path) -> None:
    home = Home(tmp_path / "new" / "home")
    assert create_home(home) is True
    assert (home.identity_dir / "SOUL.md").read_text() == (shipped / "SOUL.md").read_text()
    assert (home.identity_dir / "USER.md").exists()
    assert home.memory_file.read_text().startswith("# MEMORY")
    assert "temperature" in home.config_file.read_text()
    champion, why = Registry(home.molts_dir).load_champion(BASE)
    assert champion is not None
    assert (champion.number, why) == (1, "")
    assert home.root.stat().st_mode & 0o077 == 0
    assert create_home(home) is False


def test_nothing_is_overwritten_and_nothing_removed_comes_back(tmp_path: Path, shipped: Path) -> None:
    home = Home(tmp_path / "home")
    home.make_folders()
    home.memory_file.write_text("mine")
    create_home(home)
    assert home.memory_file.read_text() == "mine"
    (home.identity_dir / "USER.md").unlink()
    Registry(home.molts_dir).promote(0, BASE)
    create_home(home)
    assert not (home.identity_dir / "USER.md").exists()
    assert Registry(home.molts_dir).champion(BASE) is None


def test_an_interrupted_start_is_finished_by_the_next(
    tmp_path: Path, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_write = identity._write
    for stop_at in range(1, 12):
        home = Home(tmp_path / f"home{stop_at}")
        calls = 0

        def write(data: bytes, target: Path, stop_at: int = stop_at) -> None:
            nonlocal calls
            calls += 1
            if calls == stop_at:
                target.with_name(f".{target.name}.1").write_bytes(data[: len(data) // 2])
                raise KeyboardInterrupt
            really_write(data, target)

        with monkeypatch.context() as patch:
            patch.setattr(identity, "_write", write)
            try:
                create_home(home)
                assert calls < stop_at
            except KeyboardInterrupt:
                pass
        create_home(home)
        assert (home.identity_dir / "SOUL.md").read_text() == (shipped / "SOUL.md").read_text()
        champion, why = Registry(home.molts_dir).load_champion(BASE)
        assert champion is not None
        assert why == ""


def test_a_damaged_shipped_molt_is_said(tmp_path: Path, shipped: Path) -> None:
    (shipped / "molt-0001" / "adapter.gguf").write_bytes(b"other")
    with pytest.raises(HomeError, match="damaged"):
        create_home(Home(tmp_path / "home"))


def test_a_home_that_cannot_be_made_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="cannot be made"):
        create_home(Home(tmp_path / "file" / "home"))


def test_option_comes_before_environment_before_the_systems_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOLTING_HOME", str(tmp_path / "environment"))
    assert find_home(str(tmp_path / "option")).root == tmp_path / "option"
    assert find_home(None).root == tmp_path / "environment"
    monkeypatch.delenv("MOLTING_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert find_home(None).root.name == "molting"


def test_the_shipped_files_are_whole(make_home: Callable[..., Home]) -> None:
    home = make_home()
    create_home(home)
    assert "Cláudio" in (home.identity_dir / "SOUL.md").read_text()
    shipped = resources.files("identity").joinpath("molt-0001")
    if shipped.is_dir():
        manifest = json.loads(shipped.joinpath("manifest.json").read_text())
        champion, why = Registry(home.molts_dir).load_champion(manifest["base_sha256"])
        assert champion is not None
        assert why == ""
