"""From which file a molt speaks: its base with an adapter, its merged file once it has settled, or a whole model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from distill.manifest import WHOLE_NAME
from distill.registry import Molt
from memory.files import sha256_file
from molting_agent.runtime.models import ModelFile, stamp

MERGED_NAME = "merged.gguf"
SETTLED = "settled"
"""In a manifest: sha256, bytes and stamp of merged.gguf, and how it was judged; or only why it was refused."""


def running(molt: Molt | None, base: ModelFile, *, settled: bool = True) -> tuple[ModelFile, Path | None]:
    """The model file to open for ``molt`` (None: the base), and the adapter to set on it.

    ``settled``: use the merged file where there is one and it is whole; else the adapter speaks. The file keeps the
    base's name and published digest: it is the same line of molts. A whole student's file was verified with its molt.
    """
    if molt is None:
        return base, None
    if molt.whole:
        return _as_base(base, molt.whole, molt.manifest["files"][WHOLE_NAME]), None
    if settled and (path := merged_file(molt)) is not None:
        return _as_base(base, path, molt.manifest[SETTLED]), None
    return base, molt.adapter


def merged_file(molt: Molt) -> Path | None:
    """The molt's merged file, if it has one and not a byte of it has changed since it was judged."""
    entry = molt.manifest.get(SETTLED)
    path = molt.path / MERGED_NAME
    if not isinstance(entry, dict) or "sha256" not in entry or not path.is_file():
        return None
    # Hashing 145 MB takes a tenth of a second, 8 GB takes many: a file that was not written since needs none.
    whole = stamp(path) == entry["stamp"] or (
        path.stat().st_size == entry["bytes"] and sha256_file(path) == entry["sha256"]
    )
    return path if whole else None


def as_model(path: Path, base: ModelFile) -> ModelFile:
    """A student trained whole as a model of its base's line; the file is hashed."""
    return _as_base(base, path, {"sha256": sha256_file(path), "bytes": path.stat().st_size})


def _as_base(base: ModelFile, path: Path, entry: Mapping[str, Any]) -> ModelFile:
    return replace(base, path=path, sha256=entry["sha256"], bytes=entry["bytes"], stamp=stamp(path))
