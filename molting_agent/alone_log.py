"""The one log of what he did while nobody asked: heartbeat rounds, retrainings begun, memories proposed."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from memory.files import append_line
from memory.home import Home

NAME = "alone.jsonl"
KINDS = ("heartbeat", "retraining", "memory", "skipped")


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing done alone. ``at`` is local time, ISO 8601; ``kind`` is one of KINDS."""

    at: str
    kind: str
    about: str
    text: str


def log_file(home: Home) -> Path:
    """Where they stand, one JSON object a line."""
    return home.logs_dir / NAME


def write_deed(home: Home, kind: str, about: str, text: str, now: datetime) -> Deed:
    """Append one; it is on disk when this returns."""
    home.logs_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    deed = Deed(now.isoformat(timespec="seconds"), kind, about, text)
    append_line(log_file(home), json.dumps(asdict(deed), ensure_ascii=False))
    return deed


def deeds(home: Home, limit: int = 50) -> list[Deed]:
    """The newest ones, oldest first; damaged lines are passed over."""
    try:
        lines = log_file(home).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines[-limit:]:
        try:
            found.append(Deed(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found


def deed_line(deed: Deed) -> str:
    """``2026-02-08 14:03  heartbeat   the backups: all ran``"""
    about = f"{deed.about}: " if deed.about else ""
    return f"{deed.at[:16].replace('T', ' ')}  {deed.kind:<10}  {about}{deed.text}"
