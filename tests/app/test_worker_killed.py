"""``kill -9`` of the worker at seeded moments of a talk: it is started again as the same molt, and nothing is lost."""

import os
import random
import signal
import threading

import pytest

from memory.home import Home
from memory.transcripts.read import read_transcript
from molting_agent.agent import Agent
from molting_agent.config import Config, ModelSettings
from molting_agent.events import ReplyFinished, UserSaved
from molting_agent.identity import create_home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import embedded_model

QUESTIONS = ("who are you?", "what do you keep?", "and the backups?")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with its model made ready, so that a kill meets the talk and not the preparation."""
    home = Home(tmp_path_factory.mktemp("prepared"))
    create_home(home)
    embedded_model(home)
    return home


def open_agent(home: Home) -> Agent:
    return Agent(home, Config(model=ModelSettings(context_tokens=2048, max_reply_tokens=16)))


def killed_while_talking(home: Home, seed: int) -> None:
    """Three turns, and in the middle of them, at a moment that the seed chooses, the worker is shot."""
    chance = random.Random(seed)
    agent = open_agent(home)
    agent.start()
    told: dict[str, str] = {}
    shot = threading.Event()

    def shoot() -> None:
        engine = agent.speaker.engine
        assert isinstance(engine, EngineClient)
        os.kill(engine.pid, signal.SIGKILL)
        shot.set()

    victim = chance.randrange(len(QUESTIONS))
    for number, question in enumerate(QUESTIONS):
        gun = threading.Timer(chance.uniform(0.0, 1.5), shoot)
        if number == victim:
            gun.start()
        for event in agent.turn(question, with_memory=False):
            match event:
                case UserSaved():
                    told[event.message_id] = event.text
                case ReplyFinished():
                    told[event.message_id] = event.text
                    assert event.molt == 1
        if number == victim:
            gun.join()
    assert shot.is_set()
    assert isinstance(list(agent.turn("are you there?", with_memory=False))[-1], ReplyFinished)
    path = agent.session.path
    assert path
    agent.close()
    found = {turn.id: turn.text for turn in read_transcript(path).turns}
    assert {message: found.get(message) for message in told} == {m: text.strip() for m, text in told.items()}
    assert len([text for text in told.values() if text in QUESTIONS]) == len(QUESTIONS)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_killed_worker_costs_a_restart_and_no_word(prepared: Home, seed: int) -> None:
    killed_while_talking(prepared, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4, 34))
def test_a_worker_killed_at_thirty_moments_costs_no_word(prepared: Home, seed: int) -> None:
    killed_while_talking(prepared, seed)
