"""A whole retraining in a real child process on the real model: killed, resumed, judged, filed; and its adapter."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from talks import QUICK

from distill.config import load_config
from distill.export.adapter import export_adapter
from distill.progress import WORKING, read_progress
from distill.registry import Registry
from distill.student import load_student
from memory.api import Memory
from memory.home import Home
from memory.transcripts.writer import SessionWriter
from molting_agent.identity import create_home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import EMBEDDED_SHA256, embedded_model
from molting_agent.runtime.protocol import Segment


def command(home: Home, *more: str) -> list[str]:
    settings = [part for setting in QUICK for part in ("--set", setting)]
    return [sys.executable, "-m", "distill", "train", "--home", str(home.root), *settings, *more]


def train(home: Home, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(home, *more), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_resumes_and_files_one_molt(taught_home: Home, kills: int) -> None:
    """kill -9 at seeded moments loses nothing: the run goes on under its number, and the champion always loads."""
    registry, moments = Registry(taught_home.molts_dir), random.Random(kills)
    for at in sorted(WORKING.index(("collecting", "training", "judging")[kill % 3]) for kill in range(kills)):
        child = subprocess.Popen(command(taught_home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while child.poll() is None:
            progress = read_progress(taught_home.training_dir)
            if progress and progress.pid == child.pid and progress.state in WORKING[at:]:
                break
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 1))
        child.send_signal(signal.SIGKILL)
        child.wait()
        registry.load_champion(EMBEDDED_SHA256)
    done = train(taught_home, "--json")
    assert done.returncode in (0, 10), done.stderr[-2000:]
    built = json.loads(done.stdout) if done.stdout.strip() else {}
    (molt,) = [m for m in registry.list(EMBEDDED_SHA256) if m.manifest.get("targets")][-1:]
    molt.verify()
    assert molt.verdict == built["verdict"]["verdict"]
    assert (molt.path / "report.md").read_text().startswith(f"# Molt {molt.number}")
    assert len(built["training"]["losses"]) == built["training"]["rows"]
    champion, why = registry.load_champion(EMBEDDED_SHA256)
    assert why == ""
    assert (champion.number if champion else 0) == (molt.number if done.returncode == 0 else 0)


def test_only_what_the_person_approved_or_edited_is_learnt(home: Home) -> None:
    """Five turns, one reply edited, one thumbed up: exactly these two are the new molt's targets."""
    create_home(home)
    home.molts_dir.joinpath("current").unlink(missing_ok=True)
    session = SessionWriter.create(home.sessions_dir)
    replies = []
    for i in range(5):
        session.user(f"question {i}?")
        said = session.assistant(f"Answer {i}.", molt=0, base_sha256=EMBEDDED_SHA256, model="SmolLM2", memories=[])
        replies.append(said)
    session.edit(replies[1], "A better answer.")
    session.rate(replies[3], 1)
    done = train(home)
    assert done.returncode == 10, done.stderr[-2000:]
    molt = Registry(home.molts_dir).list(EMBEDDED_SHA256)[-1]
    assert {t["message"] for t in molt.manifest["targets"]} == {replies[1], replies[3]}
    assert molt.verdict == "kept"
    assert "inconclusive" in (molt.path / "report.md").read_text()


def test_too_little_says_how_much_is_missing(home: Home) -> None:
    create_home(home)
    done = train(home)
    assert done.returncode == 11
    assert "2 missing" in done.stderr
    progress = read_progress(home.training_dir)
    assert progress is not None
    assert progress.state == "failed"


def test_plan_fits_the_time_and_says_what_is_left_out(taught_home: Home) -> None:
    done = train(taught_home, "--plan", "--json", "--minutes", "1.2", "--set", "epochs=3")
    plan = json.loads(done.stdout)
    assert done.returncode == 0
    assert plan["rows"] > 0
    assert plan["left_out"]["steps that do not fit into the time"] > 0
    assert not (taught_home.training_dir / "run").exists()


def test_sigterm_stops_with_a_checkpoint(taught_home: Home) -> None:
    child = subprocess.Popen(command(taught_home, "--set", "epochs=4"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while child.poll() is None:
        progress = read_progress(taught_home.training_dir)
        if progress and progress.pid == child.pid and progress.step >= 1:
            break
        time.sleep(0.1)
    child.terminate()
    assert child.wait(timeout=120) == 12
    checkpoints = taught_home.training_dir / "run" / "candidate" / "checkpoints"
    assert list(checkpoints.glob("checkpoint-*/trainer_state.json"))
    last = read_progress(taught_home.training_dir)
    assert last is not None
    assert last.state == "cancelled"


@pytest.mark.parametrize("rank", [4])
def test_exported_adapter_speaks_alike_in_torch_and_in_the_runtime(home: Home, tmp_path: Path, rank: int) -> None:
    model = embedded_model(home)
    student = load_student(model.path, load_config("", [f"lora_rank={rank}"]))
    generator = torch.Generator().manual_seed(1)
    for name, weight in student.model.named_parameters():
        if "lora_B" in name:
            weight.data = torch.randn(weight.shape, generator=generator) * 0.05
    student.model.save_pretrained(tmp_path / "adapter")
    export_adapter(tmp_path / "adapter", tmp_path / "adapter.gguf", student.model.get_base_model().config)
    text = [Segment("The tide turns at"), Segment(" six, and the ferry waits for nobody.", target=True)]
    with EngineClient(model, home=home, context_tokens=512) as engine:
        base = engine.score(text).token_logprobs[0]
        engine.swap(tmp_path / "adapter.gguf")
        ours = torch.tensor(engine.score(text).token_logprobs[0])
        ids = engine.tokenize(text)
    flat = torch.tensor([ids[0] + ids[1]])
    with torch.no_grad():
        hidden_SH = student.model(input_ids=flat).logits[0]
        logprobs_SV = (hidden_SH @ student.head_VH.T).log_softmax(-1)
    theirs = logprobs_SV[torch.arange(len(ids[0]) - 1, flat.shape[1] - 1), torch.tensor(ids[1])]
    assert torch.nn.functional.cosine_similarity(ours, theirs, dim=0) > 0.995
    assert (ours - theirs).abs().mean() < 0.2 * (ours - torch.tensor(base)).abs().mean()


def test_memory_of_a_home_gives_the_school_its_conversations(taught_home: Home) -> None:
    memory = Memory(taught_home)
    found = list(memory.conversations())
    memory.close()
    assert len(found) >= 12
    assert all(t.role in ("user", "assistant", "tool") for c in found for t in c.turns)
