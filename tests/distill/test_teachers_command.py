"""``python -m distill teach`` as a process: estimate, privacy to the byte, kill -9 at seeded moments, local model."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_in import Request, StandIn

from distill.teachers.replies import Replies, teachers_dir
from memory.api import Memory
from memory.home import Home
from memory.transcripts.writer import SessionWriter

KEY = "sk-test-0123456789"


@pytest.fixture
def server() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.close()


def configure(home: Home, server: StandIn, more: str = "") -> None:
    with home.config_file.open("a") as file:
        file.write(
            f'\n[teachers.far]\nkind = "openai"\nmodel = "m"\nkey_env = "TEACHER_KEY"\nbase_url = "{server.url}/v1"\n'
            f"{more}\n"
        )


def command(home: Home, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "distill", "teach", "--home", str(home.root), *arguments]


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k.lower() not in ("http_proxy", "all_proxy", "teacher_key")}
    return {**kept, "TEACHER_KEY": KEY, **more}


def teach(home: Home, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(command(home, *arguments), capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def test_an_estimate_asks_nobody_and_needs_no_key(taught_home: Home, server: StandIn) -> None:
    configure(taught_home, server, "usd_per_million_in = 3\nusd_per_million_out = 15")
    done = subprocess.run(
        command(taught_home, "--teacher", "far", "--teacher", "logs", "--dry-run", "--json"),
        capture_output=True,
        text=True,
        env=environment(TEACHER_KEY=""),
        check=True,
    )
    found = json.loads(done.stdout)
    far, logs = found["teachers"]
    assert far["prompts"] == logs["prompts"] == found["questions"] > 0
    assert far["tokens_in"] > found["questions"] * 100  # each carries the identity
    assert far["usd_most"] == pytest.approx((far["tokens_in"] * 3 + far["tokens_out_most"] * 15) / 1e6)
    assert (logs["tokens_in"], logs["tokens_out_most"], logs["usd_most"]) == (0, 0, 0)
    assert server.requests == []
    assert not Replies(taught_home, "far").path.exists()


def test_answers_are_collected_once_from_several_teachers(taught_home: Home, server: StandIn, tmp_path: Path) -> None:
    configure(taught_home, server)
    more = tmp_path / "more.txt"
    more.write_text("What is a molt?\n")
    arguments = ["--teacher", "far", "--teacher", "logs", "--prompts", str(more), "--json"]
    first = json.loads(teach(taught_home, *arguments))
    far, logs = first["teachers"]
    assert far["stored"] == first["questions"] == len(server.requests)
    assert logs["stored"] + sum(logs["failed"].values()) == first["questions"]
    assert logs["stored"] > 0
    assert "What is a molt?" in server.questions
    again = json.loads(teach(taught_home, *arguments))
    assert (again["teachers"][0]["known"], again["teachers"][0]["stored"]) == (first["questions"], 0)
    assert len(server.requests) == first["questions"]
    identity = (taught_home.identity_dir / "SOUL.md").read_text().strip().splitlines()[0]
    assert identity in server.requests[0].json["messages"][0]["content"]


def test_nothing_private_and_no_secret_is_among_all_bytes_sent(home: Home, server: StandIn) -> None:
    home.identity_dir.joinpath("SOUL.md").write_text("I am Cláudio. Write to claudio.hidden@example.org.")
    configure(home, server)
    for index in range(6):
        writer = SessionWriter.create(home.sessions_dir)
        writer.user(f"Open question {index}, mail me at ana.hidden@example.org")
        writer.assistant("An open reply.", molt=0, base_sha256="", model="m", memories=[])
        writer.user(f"My DIAGNOSIS{index} <private>is bad</private>")
        writer.assistant("ECHOED words of yours.", molt=0, base_sha256="", model="m", memories=[])
        writer.user("AFTERWARDS, what now?")
    never = home.root / "never.jsonl"
    never.write_bytes(writer.path.read_bytes().replace(b"DIAGNOSIS", b"RECIPE").replace(b"private>", b"b>"))
    never.write_text(never.read_text().replace(writer.id, "never-id").replace("Open question", "UNTAUGHT question"))
    memory = Memory(home)
    memory.ingest([never], label="never-train")
    memory.close()
    found = json.loads(teach(home, "--teacher", "far", "--json"))
    (far,) = found["teachers"]
    assert far["stored"] > 0
    assert far["left_out"]["private: never leaves this machine"] >= far["stored"]
    for word in (b"DIAGNOSIS", b"is bad", b"ECHOED", b"AFTERWARDS", b"UNTAUGHT", b"RECIPE", b"hidden@example.org"):
        assert word not in server.bytes, word
    assert b"Open question" in server.bytes
    assert b"[EMAIL_1]" in server.bytes
    assert KEY.encode() not in b"".join(p.read_bytes() for p in home.root.rglob("*") if p.is_file())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_any_moment_it_loses_nothing_and_asks_nothing_twice(
    taught_home: Home, server: StandIn, tmp_path: Path, seed: int
) -> None:
    """What was on its way when the process died is asked again; nothing else is."""
    rng = random.Random(seed)
    concurrency, questions = 2, 24
    configure(taught_home, server, f"concurrency = {concurrency}")
    file = tmp_path / "p.txt"
    file.write_text("".join(f"question number {n}\n" for n in range(questions)))
    arguments = ["--teacher", "far", "--prompts", str(file), "--only-prompts", "--json"]
    reached = threading.Event()
    kill_at = 0

    def behave(request: Request) -> None:
        if kill_at and request.number >= kill_at:
            reached.set()
        time.sleep(0.02)
        request.good()

    server.behave = behave
    kills = 0
    for _ in range(3):
        known = len(Replies(taught_home, "far"))
        asked_before = list(server.questions)
        kill_at, _ = len(server.requests) + rng.randint(1, 5), reached.clear()
        child = subprocess.Popen(command(taught_home, *arguments), env=environment(), stdout=subprocess.DEVNULL)
        assert reached.wait(60)
        time.sleep(rng.random() * 0.04)
        child.send_signal(signal.SIGKILL)
        kills += child.wait() == -signal.SIGKILL
        stored_before_kill = {r.messages[-1][1] for r in list(Replies(taught_home, "far"))[:known]}
        assert not stored_before_kill & set(server.questions[len(asked_before) :])
    kill_at = 0
    stored = {r.messages[-1][1] for r in Replies(taught_home, "far")}
    asked_before = list(server.questions)
    last = json.loads(teach(taught_home, *arguments))["teachers"][0]
    assert last["known"] == len(stored)
    assert sorted(server.questions[len(asked_before) :]) == sorted(
        {f"question number {n}" for n in range(questions)} - stored
    )
    assert len(Replies(taught_home, "far")) == questions
    times = Counter(server.questions)
    assert len(times) == questions
    assert kills == 3
    assert sum(times.values()) - questions <= kills * concurrency


def test_a_stop_lets_the_answers_under_way_arrive(taught_home: Home, server: StandIn, tmp_path: Path) -> None:
    configure(taught_home, server, "concurrency = 1")
    file = tmp_path / "p.txt"
    file.write_text("one\ntwo\nthree\n")
    arrived = threading.Event()

    def behave(request: Request) -> None:
        arrived.set()
        time.sleep(0.5)
        request.good()

    server.behave = behave
    arguments = ["--teacher", "far", "--prompts", str(file), "--only-prompts", "--json"]
    child = subprocess.Popen(command(taught_home, *arguments), env=environment(), stdout=subprocess.PIPE, text=True)
    assert arrived.wait(60)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 12
    (far,) = json.loads(out)["teachers"]
    assert (far["stored"], far["left"]) == (1, 2)
    assert len(server.requests) == 1


def test_the_local_model_answers_private_questions_too(home: Home) -> None:
    home.identity_dir.joinpath("SOUL.md").write_text("You are Cláudio.")
    with home.config_file.open("a") as file:
        file.write('\n[teachers.near]\nkind = "gguf"\nrationale = false\nmax_tokens = 16\ncontext_tokens = 512\n')
    # Held out are 12 in 100 by their hash: of eight conversations some are asked about.
    for index in range(8):
        SessionWriter.create(home.sessions_dir).user(f"<private>What is {index} and two?</private>")
    arguments = ["--teacher", "near", "--json"]
    (near,) = json.loads(teach(home, *arguments))["teachers"]
    replies = list(Replies(home, "near"))
    assert near["stored"] == len(replies) >= 1
    assert {r.label for r in replies} == {"private"}
    assert all(r.reply or r.raw for r in replies)
    assert near["tokens_out"] > 0
    assert json.loads(teach(home, *arguments))["teachers"][0]["known"] == len(replies)


def test_what_is_wrong_is_one_line(taught_home: Home, server: StandIn) -> None:
    configure(taught_home, server)
    assert "there is no teacher nobody; there are: anchor, embedded, far, logs, self" in teach(
        taught_home, "--teacher", "nobody", code=2
    )
    assert "--only-prompts needs --prompts" in teach(taught_home, "--teacher", "logs", "--only-prompts", code=2)
    server.behave = lambda request: request.send(401, {"error": {"message": "no"}})
    line = teach(taught_home, "--teacher", "far", code=1).strip().splitlines()[-1]
    assert line.startswith("distill: teacher far: set the environment variable TEACHER_KEY to a valid key")
    assert list(teachers_dir(taught_home).glob("far/*.jsonl")) == []
