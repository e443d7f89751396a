"""What the agent's tests say and read."""

import json
from typing import TYPE_CHECKING, Any

from molting_agent.agent import Agent
from molting_agent.events import (
    Event,
    ReplyDelta,
    ReplyFinished,
)

if TYPE_CHECKING:
    pass


def say(agent: Agent, text: str, **options: Any) -> ReplyFinished:
    """One turn that must succeed."""
    events = list(agent.turn(text, **options))
    assert isinstance(events[-1], ReplyFinished), events
    return events[-1]


def kinds(events: list[Event]) -> list[type]:
    """The order of events, deltas counted once."""
    order: list[type] = []
    for event in events:
        if not (order and order[-1] is type(event) is ReplyDelta):
            order.append(type(event))
    return order


def lines_on_disk(agent: Agent) -> list[dict[str, Any]]:
    assert agent.session.path
    return [json.loads(line) for line in agent.session.path.read_text().splitlines()]
