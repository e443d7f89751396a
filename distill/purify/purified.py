"""Purified rationales as what a training learns: one reply a question, its rationale, and the teacher behind it."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime

from distill.purify.asked import PURIFIED, Asked
from distill.purify.protocol import Purified
from distill.teachers.replies import FILE, Reply, locked, teachers_dir
from distill.teachers.settings import read_teachers
from distill.teachers.taught import Taught
from memory.errors import TrainingError, UsageError
from memory.files import write_atomic
from memory.home import Home


def purified_taught(asked: Sequence[Asked], chosen: Sequence[Purified]) -> list[Taught]:
    """One taught reply a question, as ``distill.extras`` reads it: the purified rationale under its teacher's name.

    The reply is the chosen teacher's own, so that reasons and reply agree. A merged rationale has no reply of its own:
    it takes the right answer where one is known, else the reply of the teacher with the best score.
    """
    found = []
    for one, purified in zip(asked, chosen, strict=True):
        by_name = {answer.teacher: answer for answer in one.answers}
        own = by_name.get(purified.teacher)
        if own is None:
            best = max(by_name, key=lambda name: (purified.scores.get(name, 0.0), name))
            own = replace(by_name[best], reply=one.right.strip() or by_name[best].reply)
        key = hashlib.sha256(f"{PURIFIED} {purified.teacher} {own.key} {purified.rationale}".encode()).hexdigest()
        messages = (*own.messages[:-1], replace(own.messages[-1], content=own.reply))
        found.append(replace(own, messages=messages, rationale=purified.rationale, teacher=purified.teacher, key=key))
    return found


def keep(home: Home, replies: Iterable[Taught], name: str = PURIFIED) -> int:
    """Put them into HOME/teachers/NAME in place of what was there; returns how many.

    A training with ``taught = "purified"`` learns them, with the labels and the forgetting of every other teacher's
    answers. Errors: UsageError (a teacher of the config has that name), TrainingError (another run is writing).
    """
    if name in read_teachers(home):
        raise UsageError(f"{home.config_file}: teachers.{name}: the name is taken by what is purified; rename it")
    asked_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    lines = [json.dumps(asdict(_reply(one, asked_at)), ensure_ascii=False) for one in replies]
    with locked(home, name) as free:
        if not free:
            raise TrainingError("another run is purifying in this home; wait for it to end")
        text = "".join(f"{line}\n" for line in lines)
        write_atomic(teachers_dir(home) / name / FILE, text.encode("utf-8", "replace"))
    return len(lines)


def _reply(one: Taught, asked_at: str) -> Reply:
    return Reply(
        key=one.key,
        teacher=one.teacher,
        kind=PURIFIED,
        model=one.model,
        conversation=one.conversation,
        message=one.message,
        context_ids=one.context_ids,
        source="file" if one.conversation.startswith("prompt-") else "conversation",
        label="normal",
        started_at=one.started_at,
        system_sha256="",
        messages=tuple((message.role, message.content) for message in one.messages[:-1]),
        status="ok",
        reply=one.reply,
        rationale=one.rationale,
        raw="",
        tokens_in=0,
        tokens_out=0,
        asked_at=asked_at,
    )
