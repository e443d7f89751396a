"""Trains one student of a run and exports its adapter; what an interrupted training has done is not done again."""

import json
import statistics
from pathlib import Path
from typing import Any

from distill.lesson import Lesson, learn
from distill.processes import ALONE, Processes
from distill.reporter import Reporter
from distill.state import RunState, StudentFolder
from memory.files import write_atomic
from memory.home import Home
from molting_agent.runtime.models import ModelFile


def train_student(
    state: RunState,
    folder: StudentFolder,
    model: ModelFile,
    home: Home,
    reporter: Reporter,
    *,
    name: str,
    later_s: float,
    processes: Processes = ALONE,
) -> dict[str, Any]:
    """Train and export; returns what was measured. Done already: only what was measured.

    ``name`` is ``candidate`` or ``twin``; ``later_s`` is what follows after it, for the estimate of the time left.
    Errors: Stopped with a checkpoint written, TrainingError.
    """
    done = _read(folder.curve)
    if done is not None and folder.gguf.exists():
        return done
    from distill.export.adapter import export_adapter
    from distill.export.whole import write_gguf
    from distill.preference import replies_learnt
    from distill.student import faster_dtype
    from distill.students.whole import runnable_state
    from distill.trainer import whole_checkpoint

    config, rows = state.config, len(state.rows)
    who = "the student" if name == "candidate" else "its hard-label twin"
    tokens = [
        sum(state.row_tokens(state.rows[index]) for index in processes.rows_of(step, rows))
        for step in range(processes.steps(rows))
    ]
    reporter.phase("training", f"loading {who}", step=0, steps=len(tokens), molt=state.molt)
    checkpoint = whole_checkpoint(folder.checkpoints)
    # A later stage that has begun brings the student along: the rows need not be learnt again.
    rows_learnt = bool(state.pairs) and replies_learnt(folder.preference)
    rows_learnt = rows_learnt or whole_checkpoint(folder.own_replies) is not None
    precision = str(faster_dtype(model.path, config.precision)).removeprefix("torch.")
    lesson = Lesson(state, folder, precision, checkpoint, rows_learnt)
    losses, seconds = _curve_so_far(checkpoint), []
    resumed = f" from step {len(losses)}" if losses else ""
    reporter.phase("training", f"{who}: {len(tokens)} steps{resumed}", losses=tuple(losses), step=len(losses))

    def on_step(step: int, loss: float, step_s: float) -> None:
        losses.append(loss)
        seconds.append(step_s)
        done_now = tokens[step - len(seconds) : step]
        # The median of the steps: a pause while he speaks is not slowness.
        speed = statistics.median(n / s for n, s in zip(done_now, seconds, strict=True))
        reporter.step(
            losses,
            step=step,
            loss=loss,
            epoch=state.rows[processes.rows_of(step - 1, rows)[0]].epoch + 1,
            tokens_per_s=speed,
            eta_s=sum(tokens[step:]) / speed + later_s,
            message=f"{'' if name == 'candidate' else 'hard-label twin, '}step {step} of {len(tokens)}",
        )

    learnt = learn(processes.share(lesson), model, home, reporter, processes, on_step)
    student = learnt.student
    reporter.phase("exporting", "writing the adapter")
    if config.student == "whole":
        size = write_gguf(runnable_state(student), student.base.config, model.path, folder.gguf)
    else:
        student.model.save_pretrained(folder.peft, state_dict=learnt.weights)
        size = export_adapter(folder.peft, folder.gguf, student.base.config, name=f"molt {state.molt}")
    speed = reporter.progress.tokens_per_s
    measured = {
        "train_s": sum(tokens) / speed if speed else 0.0,
        "train_tokens_per_s": speed,
        "precision": precision,
        "trainable_parameters": student.trainable_parameters,
        "adapter_bytes": size,
        "base_bytes": model.bytes,
        "losses": losses,
        "loss_parts": learnt.parts,
        "preference": learnt.preference,
        "own_replies": learnt.own_replies,
    }
    write_atomic(folder.curve, json.dumps(measured))
    return measured


def _curve_so_far(checkpoint: Path | None) -> list[float]:
    if checkpoint is None:
        return []
    history = json.loads((checkpoint / "trainer_state.json").read_text())["log_history"]
    return [float(entry["loss"]) for entry in history if "loss" in entry]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
