"""Looks each night through what the person said for what may be worth keeping; proposes it and keeps nothing."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from memory.files import file_lock, write_atomic
from memory.home import Home
from molting_agent.alone_log import Deed, write_deed

if TYPE_CHECKING:
    from memory.api import Memory

NIGHT_HOUR = 3
"""A night's work is due from this hour on, local time; missed, it is done at the next start."""
LOOK_BACK = timedelta(days=14)
"""So far back ``molt memory review`` looks, too."""
MOST = 500


def is_due(home: Home, now: datetime) -> bool:
    """Whether nothing was done since the last time it was NIGHT_HOUR; ``now`` has a time zone."""
    night = now.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
    last = _last(home)[0]
    return last is None or last < (night if now >= night else night - timedelta(days=1))


def run_night(home: Home, memory: "Memory", now: datetime) -> list[Deed]:
    """Consolidate: count what may be worth keeping and was not proposed before, and say so in the log.

    [] where another program does it at this moment, or did it meanwhile. Errors: MemoryStoreError.
    """
    with file_lock(home.cache_dir / "nightly.lock", blocking=False) as free:
        if not free or not is_due(home, now):
            return []
        memory.sync()
        found = [one.id for one in memory.candidates(since=(now - LOOK_BACK).date(), limit=MOST)]
        new = set(found) - _last(home)[1]
        # Ids say nothing of the words; those that were reviewed or are too old by now need not be known any more.
        write_atomic(_stamp(home), json.dumps({"at": now.isoformat(), "proposed": found}))
        return [write_deed(home, "memory", "", _said(len(new)), now)]


def proposes(deed: Deed) -> bool:
    """Whether there is something for the person to look at."""
    return deed.kind == "memory" and deed.text != _said(0)


def _said(new: int) -> str:
    if not new:
        return "looked through what you said: nothing new worth keeping"
    sentences = "1 sentence" if new == 1 else f"{new} sentences"
    return f"found {sentences} of yours that may be worth keeping; molt memory review shows them"


def _stamp(home: Home) -> Path:
    return home.cache_dir / "nightly.json"


def _last(home: Home) -> tuple[datetime | None, set[str]]:
    """When it was done last, and what was proposed then; (None, empty) where that cannot be read."""
    try:
        told = json.loads(_stamp(home).read_text(encoding="utf-8"))
        return datetime.fromisoformat(told["at"]).astimezone(), set(told["proposed"])
    except (OSError, ValueError, TypeError, KeyError):
        return None, set()
