"""``kill -9`` of the app at seeded moments of its turns: nothing that was acknowledged is lost, and he goes on."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from distill.registry import Registry
from memory.api import Memory
from memory.home import Home
from memory.transcripts.read import read_transcript
from molting_agent.agent import Agent
from molting_agent.config import Config
from molting_agent.events import Notice, ReplyFinished
from molting_agent.identity import create_home
from molting_agent.runtime.echo import EchoEngine
from molting_agent.runtime.models import EMBEDDED_SHA256

ROOT = Path(__file__).parents[2]
# An app that talks with itself and says, one line each, what it has acknowledged to a person.
APP = """
import json, sys
from pathlib import Path
from memory.home import Home
from molting_agent.agent import Agent
from molting_agent.config import Config
from molting_agent.events import ReplyDelta, ReplyFinished, UserSaved
from molting_agent.runtime.echo import EchoEngine
from molting_agent.runtime.models import EMBEDDED_SHA256

def tell(kind, message_id, value):
    print(json.dumps([kind, agent.session.id, message_id, value]), flush=True)

engine = EchoEngine(lambda question: f"You said: {question}", delay_s=0.002, model_sha256=EMBEDDED_SHA256)
agent = Agent(Home(Path(sys.argv[1])), Config(), open_engine=lambda *_: engine)
for number in range(1000):
    for event in agent.turn(f"question {number} " + "word " * (number % 40)):
        match event:
            case UserSaved():
                tell("user", event.message_id, event.text)
            case ReplyFinished():
                tell("reply", event.message_id, event.text)
                reply = event.message_id
    if number % 3 == 1:
        agent.rate(reply, 1)
        tell("rating", reply, 1)
    if number % 3 == 2:
        agent.edit(reply, f"better {number}")
        tell("edit", reply, f"better {number}")
    if number % 5 == 4:
        tell("memory", agent.remember(f"Fact number {number} is kept.").id, f"Fact number {number} is kept.")
    if number % 7 == 6:
        agent.new_session()
"""


def talk_until_killed(home: Home, seed: int) -> list[list[Any]]:
    """Run the app, kill it somewhere in its turns, and give what it had acknowledged."""
    chance = random.Random(seed)
    with subprocess.Popen([sys.executable, "-c", APP, str(home.root)], cwd=ROOT, stdout=subprocess.PIPE) as app:
        assert app.stdout
        told = [app.stdout.readline() for _ in range(chance.randint(1, 40))]
        time.sleep(chance.uniform(0, 0.1))
        app.send_signal(signal.SIGKILL)
        told += app.stdout.readlines()
    assert app.returncode == -signal.SIGKILL
    return [json.loads(line) for line in told if line.endswith(b"\n")]


def kill_and_look(home: Home, seed: int) -> None:
    create_home(home)
    told = talk_until_killed(home, seed)
    assert told
    found = {
        (transcript.id, turn.id): turn
        for transcript in map(read_transcript, home.sessions_dir.glob("*.jsonl"))
        for turn in transcript.turns
    }
    for kind, session, message, value in told:
        if kind == "memory":
            assert value in home.memory_file.read_text()
            continue
        turn = found[session, message]
        if kind in ("user", "reply"):
            assert turn.text == value.strip()
        elif kind == "rating":
            assert turn.approved is True
        else:
            assert turn.final_text == value
    champion, why = Registry(home.molts_dir).load_champion(EMBEDDED_SHA256)
    assert (champion is None, why) == (not home.molts_dir.joinpath("current").exists(), "")
    go_on(home, found_turns=len(found))


def go_on(home: Home, *, found_turns: int) -> None:
    """A new app over what is left: it resumes the last conversation, answers, and recalls."""
    agent = Agent(home, Config(), open_engine=lambda *_: EchoEngine("I am back.", model_sha256=EMBEDDED_SHA256))
    agent.resume("last")
    before = len(agent.session.turns)
    assert 0 < before <= found_turns
    events = list(agent.turn("are you there?"))
    assert isinstance(events[-1], ReplyFinished), events
    assert not [event for event in events if isinstance(event, Notice)]
    assert [turn.text for turn in agent.session.turns[before:]] == ["are you there?", "I am back."]
    agent.close()
    memory = Memory(home)
    memory.sync()
    assert memory.stats()["sources"] > 0
    memory.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_killed_app_loses_nothing_it_acknowledged(home: Home, seed: int) -> None:
    kill_and_look(home, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4, 34))
def test_the_killed_app_loses_nothing_at_thirty_moments(home: Home, seed: int) -> None:
    kill_and_look(home, seed)
