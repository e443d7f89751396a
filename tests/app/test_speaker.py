"""Who speaks: the verified champion, swapped at the turn's boundary, never a molt that is damaged."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from distill.registry import Registry
from memory.errors import EngineError, MoltError
from molting_agent.events import Event, Notice, ReplyFinished, Swapped, UserSaved
from molting_agent.runtime.models import EMBEDDED_SHA256

if TYPE_CHECKING:
    from tests.app.conftest import Stage


@pytest.fixture
def registry(stage: "Stage", write_molt: Callable[..., Path]) -> Registry:
    """Three molts of the embedded model besides what was shipped, none of which speaks."""
    for number in (1, 2, 3):
        write_molt(stage.home, number)
    registry = Registry(stage.home.molts_dir)
    registry.promote(0, EMBEDDED_SHA256)
    return registry


def last(events: list[Event]) -> ReplyFinished:
    assert isinstance(events[-1], ReplyFinished), events
    return events[-1]


def test_the_champion_speaks_from_the_start(stage: "Stage", registry: Registry) -> None:
    registry.promote(2, EMBEDDED_SHA256)
    agent = stage.agent()
    assert agent.start() == []
    assert stage.opened == [registry.get(2).adapter]
    assert agent.status.molt == 2
    assert last(list(agent.turn("hello"))).molt == 2


def test_a_promotion_by_another_process_is_seen_at_the_next_turn(stage: "Stage", registry: Registry) -> None:
    agent = stage.agent()
    list(agent.turn("one"))
    registry.promote(3, EMBEDDED_SHA256)
    events = list(agent.turn("two"))
    assert isinstance(events[0], UserSaved)
    assert Swapped(0, 3) in events
    assert last(events).molt == 3
    assert stage.engine.adapter == registry.get(3).adapter
    assert [turn.molt for turn in agent.session.turns] == [0, 0, 0, 3]
    assert not any(isinstance(event, Swapped) for event in agent.turn("three"))


def test_polling_swaps_between_turns_and_never_within_one(stage: "Stage", registry: Registry) -> None:
    agent = stage.agent()
    assert agent.poll_swap() == []
    agent.start()
    turn = agent.turn("one")
    next(turn)
    registry.promote(1, EMBEDDED_SHA256)
    assert agent.poll_swap() == []
    rest = list(turn)
    assert Swapped(0, 1) in rest  # at its boundary: nothing was said yet
    registry.promote(2, EMBEDDED_SHA256)
    assert agent.poll_swap() == [Swapped(1, 2)]
    assert agent.poll_swap() == []
    assert agent.status.molt == 2


def test_promote_and_rollback_swap_at_once(stage: "Stage", registry: Registry) -> None:
    agent = stage.agent()
    assert agent.promote(1) == [Swapped(0, 1)]
    assert agent.promote(2) == [Swapped(1, 2)]
    assert agent.rollback() == [Swapped(2, 1)]
    assert agent.rollback() == [Swapped(1, 0)]
    assert stage.engine.adapter is None
    with pytest.raises(MoltError, match="no molt 9"):
        agent.promote(9)


def test_a_damaged_champion_is_refused_and_the_one_before_speaks(stage: "Stage", registry: Registry) -> None:
    registry.promote(1, EMBEDDED_SHA256)
    registry.promote(2, EMBEDDED_SHA256)
    registry.get(2).adapter.write_bytes(b"other")
    agent = stage.agent()
    (notice,) = agent.start()
    assert notice.severity == "warning"
    assert "Molt 2 was refused" in notice.text
    assert agent.status.molt == 1


def test_an_adapter_that_the_engine_cannot_load_changes_nothing(
    stage: "Stage", registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = stage.agent()
    list(agent.turn("one"))

    def refuses(_adapter: object) -> None:
        raise EngineError("not an adapter of this model")

    monkeypatch.setattr(stage.engine, "swap", refuses)
    registry.promote(1, EMBEDDED_SHA256)
    events = list(agent.turn("two"))
    assert any(isinstance(event, Notice) and "molt 0 goes on" in event.text for event in events)
    assert last(events).molt == 0
    assert not any(isinstance(event, Notice) for event in agent.turn("three"))  # said once


def test_learnable_counts_what_was_approved(
    stage: "Stage", registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memory.transcripts.read import read_transcript

    agent = stage.agent()
    first = last(list(agent.turn("one"))).message_id
    second = last(list(agent.turn("two"))).message_id
    path = agent.session.path
    assert path is not None
    monkeypatch.setattr(stage.memory, "conversations", lambda: [read_transcript(path)], raising=False)
    assert (agent.learnable().new, agent.learnable().missing) == (0, 2)
    agent.rate(first, 1)
    agent.edit(second, "better")
    assert (agent.learnable().new, agent.learnable().missing) == (2, 0)
    agent.rate(first, -1)
    assert agent.learnable().new == 1
