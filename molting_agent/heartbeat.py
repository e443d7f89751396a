"""Works through HEARTBEAT.md when nobody asks: when a round is due, what is on the list, and one round of it."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from memory.errors import MoltingError, UsageError
from memory.files import file_lock
from memory.home import Home
from molting_agent.alone_log import Deed, deeds, write_deed
from molting_agent.config import HeartbeatSettings

if TYPE_CHECKING:
    from molting_agent.agent import Agent

LIST_NAME = "HEARTBEAT.md"
QUIET = "HEARTBEAT_OK"
MAX_ITEMS = 8
"""A round is short: what is not reached waits for the person to shorten the list."""
ITEM_CHARS = 400
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(?:\[(?P<done>[ xX])\]\s*)?(?P<text>\S.*)$")


def items(text: str) -> list[str]:
    """The bullets of the list that are not ticked off, at most MAX_ITEMS (pure)."""
    found = []
    in_comment = False
    for line in text.splitlines():
        in_comment = (in_comment or "<!--" in line) and "-->" not in line
        match = _ITEM.match(line)
        if match and not in_comment and (match["done"] or " ") == " ":
            found.append(match["text"].strip()[:ITEM_CHARS])
    return found[:MAX_ITEMS]


def in_active_hours(settings: HeartbeatSettings, now: datetime) -> bool:
    """Whether a round may begin at this hour (pure)."""
    start, end = settings.from_hour, settings.to_hour
    return start <= now.hour < end if start < end else now.hour >= start or now.hour < end


def is_due(settings: HeartbeatSettings, last: datetime | None, now: datetime) -> bool:
    """Whether the app should begin a round now (pure)."""
    if not settings.on or not in_active_hours(settings, now):
        return False
    return last is None or now - last >= timedelta(minutes=settings.every_minutes)


def last_round(home: Home) -> datetime | None:
    """When the last round ended, or was skipped; None when there was none."""
    times = [deed.at for deed in deeds(home) if deed.kind in ("heartbeat", "skipped")]
    try:
        return datetime.fromisoformat(times[-1]) if times else None
    except ValueError:
        return None


def run_round(home: Home, make_agent: "Callable[[], Agent]", clock: Callable[[], datetime]) -> list[Deed]:
    """One round: each item of the list is asked, the answers stand in the log. Errors: UsageError while one runs.

    It talks in a conversation of its own that is thrown away: what nobody typed is no memory and teaches nobody.
    """
    with _alone(home):
        path = home.root / LIST_NAME
        wanted = items(path.read_text(encoding="utf-8", errors="replace")) if path.exists() else []
        if not wanted:
            return [write_deed(home, "skipped", "", f"{LIST_NAME} is empty", clock())]
        agent = make_agent()
        try:
            agent.open()
            return [_look_after(home, agent, item, clock) for item in wanted]
        finally:
            agent.close()


def _look_after(home: Home, agent: "Agent", item: str, clock: Callable[[], datetime]) -> Deed:
    from molting_agent.events import ReplyFinished
    from molting_agent.session import Session

    question = (
        f"From your list: {item}\nSay in one or two sentences what there is to say, or {QUIET} if there is nothing."
    )
    with tempfile.TemporaryDirectory(prefix="molting-heartbeat-") as folder:
        agent.use_session(Session(Path(folder)))
        text = ""
        try:
            for event in agent.turn(question, errand=item):
                if isinstance(event, ReplyFinished):
                    text = " ".join(event.text.split())
        except MoltingError as error:
            return write_deed(home, "skipped", item, str(error), clock())
        if agent.last_error is not None:
            return write_deed(home, "skipped", item, str(agent.last_error), clock())
    said = text.replace(QUIET, "").strip(" .:;-")
    return write_deed(home, "heartbeat", item, text if said else "nothing to say", clock())


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """One round at a time in a home, however many programs want one."""
    with file_lock(home.cache_dir / "heartbeat.lock", blocking=False) as free:
        if not free:
            raise UsageError("a round is under way already; see what it finds: molt heartbeat --log")
        yield
