"""The replies that a molt's report shows, rid of words that were forgotten: a molt may have said them."""

import json
from collections.abc import Collection
from typing import Any

from distill.manifest import MANIFEST_NAME, describe_files, write_manifest
from distill.registry import Registry
from memory.files import write_atomic
from memory.home import Home
from memory.telling import tells
from memory.transcripts.writer import FORGOTTEN


def forget_samples(home: Home, words: Collection[str]) -> int:
    """Replace sample replies in which one of ``words`` (small letters) stands; returns how many reports changed.

    The manifest of the molt then names the new digests, so that it stays whole.
    """
    changed = 0
    for molt in Registry(home.molts_dir).list():
        names = [name for name in ("report.json", "report.md") if _clean(molt.path / name, words)]
        if names:
            files = {**molt.manifest["files"], **describe_files(molt.path, names)}
            write_manifest(molt.path, {**molt.manifest, "files": files})
            changed += 1
    return changed


def _clean(path: Any, words: Collection[str]) -> bool:
    if not path.is_file() or path.name == MANIFEST_NAME:
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".json":
        new = json.dumps(_without(json.loads(text), words), ensure_ascii=False, indent=1) + "\n"
    else:  # one reply is one line there
        new = "\n".join(_line(line, words) for line in text.split("\n"))
    if new == text or (path.suffix == ".json" and json.loads(new) == json.loads(text)):
        return False
    write_atomic(path, new)
    return True


def _line(line: str, words: Collection[str]) -> str:
    opening, colon, said = line.partition(": ")
    is_sample = opening in ("- champion", "- candidate") and colon
    return f"{opening}: {FORGOTTEN}" if is_sample and tells(said, words) else line


def _without(report: Any, words: Collection[str]) -> Any:
    if not isinstance(report, dict) or not isinstance(report.get("samples"), list):
        return report
    samples = [
        {key: FORGOTTEN if key != "question" and tells(str(value), words) else value for key, value in sample.items()}
        for sample in report["samples"]
        if isinstance(sample, dict)
    ]
    return {**report, "samples": samples}
