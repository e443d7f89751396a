"""Which molts learnt from a conversation or memory: what is forgotten on disk is still in their weights."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from distill.manifest import target_ids
from distill.registry import Registry
from memory.errors import MoltError
from memory.home import Home


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


def _champion(registry: Registry, base_sha256: str) -> int:
    try:
        champion = registry.champion(base_sha256)
    except MoltError:
        return 0
    return champion.number if champion else 0
