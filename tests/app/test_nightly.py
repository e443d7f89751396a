"""The nightly look through what was said: when it is due, once a night, each sentence proposed once, nothing kept."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from memory.api import Memory
from memory.files import file_lock
from memory.home import Home
from molting_agent.alone_log import deeds
from molting_agent.identity import create_home
from molting_agent.nightly import is_due, proposes, run_night
from molting_agent.session import Session

NOON = datetime.now().astimezone().replace(hour=12, minute=0, second=0, microsecond=0)
DAY = timedelta(days=1)


@pytest.fixture
def memory(home: Home) -> Iterator[Memory]:
    create_home(home)
    memory = Memory(home)
    yield memory
    memory.close()


def say(home: Home, *sentences: str) -> None:
    session = Session(home.sessions_dir)
    for sentence in sentences:
        session.add_user(sentence)
        session.add_reply(
            session.new_message_id(), "I see.", molt=1, base_sha256="x", model="m", memories=[], stopped=False, usage={}
        )


def test_it_is_due_after_three_once_a_night_and_at_the_next_start(home: Home, memory: Memory) -> None:
    assert is_due(home, NOON)
    run_night(home, memory, NOON)
    assert not is_due(home, NOON + timedelta(hours=14))  # two at night
    assert is_due(home, NOON + timedelta(hours=15))
    assert is_due(home, NOON + 5 * DAY)
    run_night(home, memory, NOON + 5 * DAY)
    assert not is_due(home, NOON + 5 * DAY)


def test_a_sentence_is_proposed_once_and_kept_by_nobody(home: Home, memory: Memory) -> None:
    say(home, "My sister Marta lives in Porto and keeps the spare key.")
    before = home.memory_file.read_bytes()
    (deed,) = run_night(home, memory, NOON)
    assert deed.kind == "memory"
    assert "1 sentence of yours" in deed.text
    assert proposes(deed)
    assert home.memory_file.read_bytes() == before
    assert "Marta" not in (home.cache_dir / "nightly.json").read_text() + deed.text
    assert run_night(home, memory, NOON) == [], "nothing twice in one night"
    (deed,) = run_night(home, memory, NOON + DAY)
    assert not proposes(deed), "nor in the next one"
    say(home, "My dentist is Dr. Dias and I go there every March.")
    (deed,) = run_night(home, memory, NOON + 2 * DAY)
    assert "1 sentence of yours" in deed.text
    assert deeds(home)[-1] == deed
    memory.accept(memory.candidates()[0].id)
    assert not proposes(run_night(home, memory, NOON + 3 * DAY)[0])


def test_two_programs_do_not_both_do_it(home: Home, memory: Memory) -> None:
    with file_lock(home.cache_dir / "nightly.lock"):
        assert run_night(home, memory, NOON) == []
    assert deeds(home) == []
    assert is_due(home, NOON)


def test_a_damaged_stamp_costs_a_second_look(home: Home, memory: Memory) -> None:
    (home.cache_dir / "nightly.json").write_text('{"at": 3, "proposed"')
    assert is_due(home, NOON)
    assert len(run_night(home, memory, NOON)) == 1
