"""Makes a new home: Cláudio's identity files, templates for his person's, and the molt he ships with."""

import os
import shutil
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from distill.manifest import MANIFEST_NAME, read_manifest
from distill.registry import Registry
from memory.errors import HomeError, MoltError
from memory.files import file_lock, fsync_folder
from memory.home import Home

FIRST_MOLT = "molt-0001"
FIRST_NUMBER = 1
_SHIPPED = {
    "SOUL.md": "identity/SOUL.md",
    "IDENTITY.md": "identity/IDENTITY.md",
    "templates/USER.md": "identity/USER.md",
    "templates/MEMORY.md": "MEMORY.md",
}
_MADE = ".made"


def create_home(home: Home) -> bool:
    """Make the folders and files of a new home; True when it was new.

    Nothing that exists is overwritten, and a file that the person removed from a finished home does not come back. It
    may be interrupted at any moment: the mark that it is finished is written last, and every file appears whole.
    Errors: HomeError.
    """
    from molting_agent.config import config_template

    if (home.root / _MADE).exists():
        return False
    try:
        home.make_folders()
        with file_lock(home.cache_dir / "create.lock"):
            package = resources.files("identity")
            for name, target in _SHIPPED.items():
                _write_new(package.joinpath(name).read_bytes(), home.root / target)
            _write_new(config_template().encode(), home.config_file)
            _install_first_molt(package.joinpath(FIRST_MOLT), Registry(home.molts_dir))
            _write(b"", home.root / _MADE)
    except OSError as error:
        raise HomeError(f"{error.filename or home.root}: the home cannot be made ({error.strerror})") from None
    return True


def _install_first_molt(shipped: Traversable, registry: Registry) -> None:
    """Copy the shipped molt into the home and let it speak for its base; a home that has molts keeps its own."""
    if not shipped.joinpath(MANIFEST_NAME).is_file() or registry.changed_at():
        return
    folder = registry.folder(FIRST_NUMBER)
    if not folder.exists():
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(temporary, ignore_errors=True)
        _copy_tree(shipped, temporary)
        temporary.rename(folder)
        fsync_folder(folder.parent)
    try:
        registry.promote(FIRST_NUMBER, str(read_manifest(folder)["base_sha256"]))
    except MoltError as error:
        raise HomeError(f"the shipped molt is damaged ({error}); install Molting again") from None


def _copy_tree(source: Traversable, target: Path) -> None:
    target.mkdir(mode=0o700)
    for entry in source.iterdir():
        if entry.is_dir():
            _copy_tree(entry, target / entry.name)
        else:
            _write(entry.read_bytes(), target / entry.name)
    fsync_folder(target)


def _write_new(data: bytes, target: Path) -> None:
    if not target.exists():
        _write(data, target)


def _write(data: bytes, target: Path) -> None:
    """Write a new file so that it appears whole or not at all."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
    fsync_folder(target.parent)
