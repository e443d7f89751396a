"""Looks a home over: what works, what does not, and what to do about it; repairs the vector index, which is derived."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

from distill.registry import Registry
from memory.errors import MoltingError
from memory.files import sha256_file
from memory.home import Home
from memory.rebuild import damage_of

LOW_SPACE_BYTES = 2_000_000_000
MIN_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. ``level`` is ok, warning or failed; ``advice`` says what to do when it is not ok."""

    check: str
    level: str
    fact: str
    advice: str = ""


def examine(home: Home) -> list[Finding]:
    """Every check, in the order in which one depends on another; a check that breaks is a finding, too."""
    checks: dict[str, Callable[[Home], Finding]] = {
        "python": _python,
        "settings": _settings,
        "disk": _disk,
        "model": _model,
        "molt": _molt,
        "molts": _molts,
        "memory": _memory,
        "index": _index,
        "sessions": _sessions,
    }
    return [_checked(name, check, home) for name, check in checks.items()]


def _checked(name: str, check: Callable[[Home], Finding], home: Home) -> Finding:
    try:
        return check(home)
    except MoltingError as error:
        return Finding(name, "failed", str(error))
    except Exception as error:  # what a check may meet in a damaged home is not known beforehand
        return Finding(name, "failed", f"{type(error).__name__}: {error}", "restore the home from a copy")


def _python(_home: Home) -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info >= MIN_PYTHON:
        return Finding("python", "ok", version)
    return Finding("python", "failed", version, "Molting needs Python 3.11 or newer")


def _settings(home: Home) -> Finding:
    from molting_agent.config import load_config

    load_config(home)
    return Finding("settings", "ok", str(home.config_file))


def _disk(home: Home) -> Finding:
    free = shutil.disk_usage(home.root).free
    fact = f"{free / 1e9:,.1f} GB free at {home.root}"
    if free >= LOW_SPACE_BYTES:
        return Finding("disk", "ok", fact)
    return Finding("disk", "warning", fact, "a retraining needs about 2 GB; free some space")


def _model(home: Home) -> Finding:
    from molting_agent.config import load_config
    from molting_agent.runtime.models import resolve_model

    model = resolve_model(home, load_config(home).model.name)
    if sha256_file(model.path) != model.sha256:
        return Finding(
            "model",
            "failed",
            f"{model.path}: the file is not the one that was checked (sha256 differs)",
            f"remove {model.path}; the embedded model is prepared again, others: molt models pull",
        )
    return Finding("model", "ok", f"{model.name}, sha256 {model.sha256[:12]}…")


def _molt(home: Home) -> Finding:
    from molting_agent.config import load_config
    from molting_agent.runtime.models import resolve_model

    base = resolve_model(home, load_config(home).model.name).source_sha256
    champion, why = Registry(home.molts_dir).load_champion(base)
    speaks = f"molt {champion.number} speaks" if champion else "the base model (molt 0) speaks"
    if why:
        return Finding("molt", "warning", why, "choose one: molt molts ls, molt molts promote N")
    return Finding("molt", "ok", speaks)


def _molts(home: Home) -> Finding:
    registry = Registry(home.molts_dir)
    damaged = registry.damaged()
    if damaged:
        numbers = ", ".join(str(number) for number, _why in damaged)
        return Finding(
            "molts", "warning", f"damaged: {numbers} ({damaged[0][1]})", "they are never loaded; delete them"
        )
    return Finding("molts", "ok", f"{len(registry.list())} on disk")


def _memory(home: Home) -> Finding:
    if not home.db_file.exists():
        return Finding("memory", "ok", "nothing remembered yet")
    if damage := damage_of(home.db_file):
        return Finding(
            "memory", "failed", f"{home.db_file} is damaged ({damage})", "close the app; molt memory rebuild"
        )
    return Finding("memory", "ok", f"{home.db_file.stat().st_size / 1e6:,.1f} MB")


def _index(home: Home) -> Finding:
    from memory.api import Memory

    if not home.db_file.exists():
        return Finding("index", "ok", "nothing to find yet")
    memory = Memory(home)
    try:
        stats = memory.stats()
        index = memory.check_index()
        notice = memory.take_notice()
    finally:
        memory.close()
    fact = f"{stats['memories']:,} memories of {stats['sources']:,} sources, {stats['vectors']:,} with a vector"
    fact += (
        f" by {index.embedder}; Chroma {'made anew, ' * index.was_made_anew}{'' if index.is_in_step else 'not '}in step"
    )
    fact += f", {index.size_bytes / 1e6:,.1f} MB at {index.where}"
    if notice:
        return Finding("index", "warning", fact, notice)
    if not index.is_in_step:
        advice = "another process, such as the open app, has the index and keeps it; what is searched here is exact"
        return Finding("index", "warning", fact, advice)
    if stats["vectors_missing"]:
        return Finding(
            "index",
            "warning",
            fact,
            f"the rest is embedded while the app is open, or by: molt ingest {home.memory_file}",
        )
    return Finding("index", "ok", fact)


def _sessions(home: Home) -> Finding:
    from memory.transcripts.read import read_transcript

    files = sorted(home.sessions_dir.glob("*.jsonl"))
    skipped = [line for path in files for line in read_transcript(path).skipped]
    if skipped:
        first = skipped[0]
        fact = (
            f"{len(files)} files, {len(skipped)} unreadable lines, such as {first.path}:{first.line} ({first.reason})"
        )
        return Finding("sessions", "warning", fact, "nothing is lost by them; the lines are passed over")
    return Finding("sessions", "ok", f"{len(files)} files")
