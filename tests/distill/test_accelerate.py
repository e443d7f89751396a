"""One training over two processes: the same as alone, agreed on every stop, and filed once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from launched import PAIRS
from talks import QUICK
from test_trainer import CONFIG, PREFIXES, examples, tiny_student

from distill.config import DistillConfig
from distill.processes import ALONE, Processes, join
from distill.progress import read_progress
from distill.registry import Registry
from distill.rows import Row
from distill.students.choose import make_student
from distill.trainer import Watch, make_trainer
from memory.errors import TrainingError
from memory.home import Home
from molting_agent.runtime.models import EMBEDDED_SHA256

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent


def launch(*command: str, **options: Any) -> subprocess.Popen[str]:
    settings = str(ROOT / "distill" / "accelerate" / "ddp.yaml")
    launcher = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        settings,
        "--main_process_port",
        "0",
    ]
    return subprocess.Popen(
        [*launcher, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]), "OMP_NUM_THREADS": "1"},
        **options,
    )


def two_processes(folder: Path, stop_after: int = 0) -> list[dict[str, Any]]:
    """What each of the two wrote."""
    folder.mkdir(exist_ok=True)
    child = launch(str(HERE / "launched.py"), str(folder), str(stop_after))
    _out, err = child.communicate()
    assert child.returncode == 0, err[-3000:]
    return [torch.load(folder / f"rank{rank}.pt") for rank in (0, 1)]


@given(st.integers(1, 9), st.integers(1, 100))
def test_every_row_is_learnt_and_all_take_as_many_steps(count: int, rows: int) -> None:
    processes = Processes(0, count)
    taken = [row for step in range(processes.steps(rows)) for row in processes.rows_of(step, rows)]
    assert taken[:rows] == list(range(rows))
    assert len(taken) - rows < count
    assert len(taken) == count * processes.steps(rows)


def test_alone_nothing_is_sent() -> None:
    assert ALONE.main
    assert ALONE.share("word") == "word"
    assert ALONE.any(True, False) == (True, False)


def test_what_would_divide_the_head_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    with pytest.raises(TrainingError, match="zero_stage: 2, or FSDP"):
        join()
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(TrainingError, match=r"ddp\.yaml"):
        make_student(tmp_path / "model.gguf", DistillConfig(student="whole"))


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_both_rows_at_once(tmp_path: Path) -> None:
    """A label weighs the same whichever process has it: rows of 5 and of 15 labels are one step of 20."""
    main, other = two_processes(tmp_path)
    losses: list[float] = []
    together = [Row(0, (*first, *second), 0) for first, second in PAIRS]
    watch = Watch(1e9, lambda _step, loss, _s: losses.append(loss), lambda: False)
    alone = make_trainer(tiny_student(), together, examples(), PREFIXES, CONFIG, tmp_path / "alone", watch)
    alone.train()
    assert main["losses"] == pytest.approx(losses, rel=1e-4)
    for name, weight in alone.model.named_parameters():
        if weight.requires_grad:
            torch.testing.assert_close(main["weights"][name], weight.detach(), rtol=1e-3, atol=1e-5)
            torch.testing.assert_close(main["weights"][name], other["weights"][name], rtol=0, atol=0)


@pytest.mark.slow
def test_a_stop_asked_of_one_stops_all_and_they_go_on_together(tmp_path: Path) -> None:
    whole, _other = two_processes(tmp_path / "whole")
    first, _other = two_processes(tmp_path / "parts", stop_after=2)
    assert 0 < len(first["losses"]) < len(whole["losses"])
    rest, _other = two_processes(tmp_path / "parts")
    assert rest["from"].endswith(f"checkpoint-{len(first['losses'])}")
    assert [*first["losses"], *rest["losses"]] == pytest.approx(whole["losses"], rel=1e-5)
    for name, weight in whole["weights"].items():
        torch.testing.assert_close(rest["weights"][name], weight, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_home_is_trained_by_two_killed_and_gone_on_with(taught_home: Home) -> None:
    """``accelerate launch -m distill train``: killed while it trains, run again, it files one molt."""
    command = ["-m", "distill", "train", "--home", str(taught_home.root)]
    command += [part for setting in [*QUICK, "epochs=1"] for part in ("--set", setting)]
    child = launch(*command, cwd=ROOT)
    while child.poll() is None:
        progress = read_progress(taught_home.training_dir)
        if progress and progress.state == "training" and progress.step >= 2:  # the first has its checkpoint
            break
        time.sleep(0.1)
    assert progress
    # The launcher's workers have sessions of their own; the other one ends when this one is gone.
    os.kill(progress.pid, signal.SIGKILL)
    child.kill()
    child.communicate()
    child = launch(*command, cwd=ROOT)
    out, err = child.communicate()
    assert child.returncode == 0, err[-3000:]
    assert out.count("Molt ") == 1
    assert "from step" in err
    (molt,) = [m for m in Registry(taught_home.molts_dir).list(EMBEDDED_SHA256) if m.manifest.get("targets")]
    molt.verify()
