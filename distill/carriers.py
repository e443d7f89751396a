"""Which molts learnt from a conversation or memory: what is forgotten on disk is still in their weights."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from distill.manifest import target_ids
from distill.registry import Registry
from memory.errors import MoltError
from memory.files import write_atomic
from memory.home import Home

FORGETFUL = "forgotten.json"


@dataclass(frozen=True, slots=True)
class Carrier:
    """A molt that learnt replies of these conversations; ``speaks`` where it is the champion of its base."""

    number: int
    path: Path
    created_at: str
    verdict: str
    speaks: bool
    replies: int


def carriers(home: Home, conversations: Collection[str]) -> list[Carrier]:
    """The molts whose training held one of ``conversations`` (transcript ids), oldest first, with how many replies.

    A reply that was learnt was learnt with all that stood before it in its conversation. Reads manifests only.
    """
    wanted = set(conversations)
    registry = Registry(home.molts_dir)
    found = []
    for molt in registry.list() if wanted else ():
        replies = sum(conversation in wanted for conversation, _message, _digest in target_ids(molt.manifest))
        if replies:
            speaks = _champion(registry, molt.base_sha256) == molt.number
            found.append(Carrier(molt.number, molt.path, molt.created_at, molt.verdict, speaks, replies))
    return found


def mark_forgetful(home: Home, numbers: Iterable[int]) -> None:
    """Keep which molts carry something that was forgotten: none may be learnt on. Errors: OSError."""
    known = forgetful(home.molts_dir)
    if new := set(numbers) - known:
        write_atomic(home.molts_dir / FORGETFUL, json.dumps(sorted(known | new)))


def forgetful(molts_dir: Path) -> set[int]:
    """The numbers of these molts. Errors: MoltError where the file cannot be read: then nobody knows."""
    path = molts_dir / FORGETFUL
    try:
        return {int(number) for number in json.loads(path.read_text(encoding="utf-8"))}
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, TypeError) as error:
        raise MoltError(f"{path} cannot be read ({error}); remove it and retrain from the base: molt retrain") from None


def _champion(registry: Registry, base_sha256: str) -> int:
    try:
        champion = registry.champion(base_sha256)
    except MoltError:
        return 0
    return champion.number if champion else 0
