"""The manifest of a molt: what it was trained from and with, and the sha256 of every file beside it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memory.errors import MoltError
from memory.files import sha256_file, write_atomic

MANIFEST_NAME = "manifest.json"
ADAPTER_NAME = "adapter.gguf"
WHOLE_NAME = "model.gguf"
"""Stands in place of an adapter in a molt whose student was trained whole, or is not of its base's shape."""
SCHEMA = 1

REQUIRED = ("schema", "molt", "created_at", "base_sha256", "verdict", "files")
VERDICTS = ("promoted", "rejected", "kept")


def describe_files(folder: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """``{name: {"sha256": hex, "bytes": n}}`` of files in ``folder``; the paths may go into subfolders."""
    return {name: {"sha256": sha256_file(folder / name), "bytes": (folder / name).stat().st_size} for name in names}


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write ``manifest.json`` into ``folder``, replacing an older one at once."""
    write_atomic(folder / MANIFEST_NAME, json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The parsed manifest of a molt's folder.

    Errors: MoltError when it is missing, is not JSON, or lacks a field that loading needs.
    """
    path = folder / MANIFEST_NAME
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MoltError(f"{folder} holds no molt ({MANIFEST_NAME} is missing); choose another: molt molts ls") from None
    except (OSError, ValueError) as error:
        raise MoltError(f"{path} is damaged ({error}); choose another molt: molt molts ls") from None
    missing = [name for name in REQUIRED if not isinstance(manifest, dict) or name not in manifest]
    if missing:
        raise MoltError(f"{path} is damaged (no {', '.join(missing)}); choose another molt: molt molts ls")
    if manifest["schema"] > SCHEMA:
        raise MoltError(f"{path} was written by a newer Molting (schema {manifest['schema']}); update Molting")
    if manifest["verdict"] not in VERDICTS or not isinstance(manifest["files"], dict):
        raise MoltError(f"{path} is damaged (verdict or files); choose another molt: molt molts ls")
    return manifest


def verify_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Compare every file the manifest names with its sha256.

    Errors: MoltError that names the first file that is missing or differs, or a manifest without weights.
    """
    files = manifest["files"]
    if ADAPTER_NAME not in files and WHOLE_NAME not in files:
        raise MoltError(f"{folder / MANIFEST_NAME} names no {ADAPTER_NAME}; choose another molt: molt molts ls")
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            raise MoltError(f"{path} is missing; choose another molt: molt molts ls")
        if path.stat().st_size != expected["bytes"] or sha256_file(path) != expected["sha256"]:
            raise MoltError(f"{path} differs from its sha256 in the manifest; choose another molt: molt molts ls")


def target_ids(manifest: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    """The replies a molt was trained on, as (conversation id, message id, sha256 of the text)."""
    return {(target["conversation"], target["message"], target["sha256"]) for target in manifest.get("targets", ())}
