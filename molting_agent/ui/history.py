"""A stored conversation as blocks: the newest part at once, older parts when the reader goes there."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from memory.errors import MoltingError
from memory.values import RecalledMemory
from molting_agent.ui.block import Block
from molting_agent.ui.note_block import tool_note
from molting_agent.ui.reply_block import ReplyBlock
from molting_agent.ui.user_block import UserBlock

if TYPE_CHECKING:
    from molting_agent.agent import Agent
    from molting_agent.session import SessionTurn

FIRST_TURNS = 40
"""Turns shown when a conversation is opened; thousands would take seconds to lay out."""
MORE_TURNS = 30

Found = Mapping[str, RecalledMemory]


class History:
    """Which turns of a session are on display: those from ``start`` on."""

    def __init__(self, turns: "Sequence[SessionTurn]", start: int) -> None:
        self.turns = turns
        self.start = start

    @classmethod
    def newest(cls, turns: "Sequence[SessionTurn]") -> "History":
        """The end of a conversation."""
        return cls(turns, max(0, len(turns) - FIRST_TURNS))

    @property
    def has_earlier(self) -> bool:
        return self.start > 0

    def shown(self) -> "Sequence[SessionTurn]":
        """The turns on display."""
        return self.turns[self.start :]

    @classmethod
    def above(cls, turns: "Sequence[SessionTurn]", first_id: str) -> "History":
        """Where the first block on display is turn ``first_id``: a long conversation takes its upper blocks away."""
        return cls(turns, next((at for at, turn in enumerate(turns) if turn.message_id == first_id), 0))

    def earlier(self) -> "Sequence[SessionTurn]":
        """The next older turns, which count as shown from now on."""
        end, self.start = self.start, max(0, self.start - MORE_TURNS)
        return self.turns[self.start : end]


def remembered(agent: "Agent", turns: "Sequence[SessionTurn]") -> Found:
    """The memories shown with these turns that were not forgotten since; for a thread. A broken memory gives none."""
    ids = list(dict.fromkeys(memory_id for turn in turns for memory_id in turn.memories))
    if not ids:
        return {}
    try:
        return {memory.id: memory for memory in agent.memory.get(ids)}
    except MoltingError:
        return {}


def blocks_of(turns: "Sequence[SessionTurn]", speaker: str, found: Found) -> list[Block]:
    """The blocks of stored turns: each tool call before the reply that speaks of it."""
    blocks: list[Block] = []
    for turn in turns:
        if turn.role == "user":
            blocks.append(UserBlock(turn.text, message_id=turn.message_id))
        else:
            blocks += [*map(tool_note, turn.uses), _reply_of(turn, speaker, found)]
    return blocks


def _reply_of(turn: "SessionTurn", speaker: str, found: Found) -> ReplyBlock:
    reply = ReplyBlock(speaker, turn.text, message_id=turn.message_id)
    reply.memories = tuple(found[memory_id] for memory_id in turn.memories if memory_id in found)
    reply.thinking = turn.thinking
    reply.molt = turn.molt
    reply.rating = turn.rating
    reply.edited = turn.edited
    reply.reason = "cancelled" if turn.stopped else ""
    return reply
