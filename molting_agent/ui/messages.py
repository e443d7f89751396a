"""The messages that travel between the widgets, the screens and the app."""

import queue
from typing import TYPE_CHECKING

from textual.message import Message

from molting_agent.events import Event

if TYPE_CHECKING:
    from molting_agent.tools.acting import Answer, Proposal


class AgentEvent(Message, bubble=False):
    """One event of the agent, brought from his thread into the interface's."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event


class TurnEnded(Message, bubble=False):
    """The agent's turn is over. ``error`` is one line, or "" when he answered."""

    def __init__(self, error: str = "") -> None:
        super().__init__()
        self.error = error


class ConsentAsked(Message, bubble=False):
    """A tool wants to act; the answer is put into ``answer``, for which the turn's thread waits."""

    def __init__(self, proposal: "Proposal", answer: "queue.SimpleQueue[Answer]") -> None:
        super().__init__()
        self.proposal = proposal
        self.answer = answer


class Submitted(Message):
    """The person sent what stands in the prompt."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
