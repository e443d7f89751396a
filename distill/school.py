"""Trains one student of a run and exports its adapter; what an interrupted training has done is not done again."""

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.config import DistillConfig
from distill.reporter import Reporter, Stopped
from distill.state import RunState, StudentFolder
from memory.files import write_atomic
from memory.home import Home
from molting_agent.runtime.models import ModelFile, resolve_model

if TYPE_CHECKING:
    from distill.layer_teacher import LayerTeacher
    from distill.row_signals import ExampleSignals
    from distill.student import Student


def train_student(
    state: RunState,
    folder: StudentFolder,
    model: ModelFile,
    home: Home,
    reporter: Reporter,
    *,
    name: str,
    later_s: float,
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
    from distill.students.choose import make_student
    from distill.students.whole import runnable_state
    from distill.trainer import Watch, make_trainer, whole_checkpoint

    config = state.config
    who = "the student" if name == "candidate" else "its hard-label twin"
    reporter.phase("training", f"loading {who}", step=0, steps=len(state.rows), molt=state.molt)
    dtype = faster_dtype(model.path, config.precision)
    if config.threads:
        import torch

        torch.set_num_threads(config.threads)
    student = make_student(model.path, config, dtype)
    spoken_of = config.teacher or config.anchor_weight or config.rationale == "two-task"
    signals = _signals(state, home) if spoken_of else {}
    layers = _layers(student, config, model, home)
    checkpoint = whole_checkpoint(folder.checkpoints)
    losses, seconds = _curve_so_far(checkpoint), []
    tokens = [state.row_tokens(row) for row in state.rows]

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
            epoch=state.rows[step - 1].epoch + 1,
            tokens_per_s=speed,
            eta_s=sum(tokens[step:]) / speed + later_s,
            message=f"{'' if name == 'candidate' else 'hard-label twin, '}step {step} of {len(tokens)}",
        )

    watch = Watch(config.checkpoint_s, on_step, lambda: reporter.stopping)
    parts: dict[str, list[float]] = {}
    if not (state.pairs and replies_learnt(folder.preference)):
        trainer = make_trainer(
            student, state.rows, state.examples, state.prefixes, config, folder.checkpoints, watch, signals, layers
        )
        resumed = f" from step {len(losses)}" if losses else ""
        reporter.phase("training", f"{who}: {len(tokens)} steps{resumed}", losses=tuple(losses), step=len(losses))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if watch.cancelled:
            raise Stopped
        parts = _parts(trainer.state.log_history)
    preference = _prefer(student, state, folder, reporter) if state.pairs else {}
    reporter.phase("exporting", "writing the adapter")
    if config.student == "whole":
        size = write_gguf(runnable_state(student), student.base.config, model.path, folder.gguf)
    else:
        student.model.save_pretrained(folder.peft)
        size = export_adapter(folder.peft, folder.gguf, student.base.config, name=f"molt {state.molt}")
    speed = reporter.progress.tokens_per_s
    measured = {
        "train_s": sum(tokens) / speed if speed else 0.0,
        "train_tokens_per_s": speed,
        "precision": str(dtype).removeprefix("torch."),
        "trainable_parameters": student.trainable_parameters,
        "adapter_bytes": size,
        "base_bytes": model.bytes,
        "losses": losses,
        "loss_parts": parts,
        "preference": preference,
    }
    write_atomic(folder.curve, json.dumps(measured))
    return measured


def _prefer(student: "Student", state: RunState, folder: StudentFolder, reporter: Reporter) -> dict[str, Any]:
    """Teach the preference pairs to a student that has learnt the replies. Errors: Stopped."""
    from distill.preference import prefer
    from distill.trainer import Watch

    def on_step(step: int, loss: float, _step_s: float) -> None:
        reporter.step((), loss=loss, message=f"preference pairs, step {step}")

    reporter.phase("training", f"{len(state.pairs)} preference pairs")
    watch = Watch(state.config.checkpoint_s, on_step, lambda: reporter.stopping)
    measured = prefer(student, state.pairs, state.heldout_pairs, state.prefixes, state.config, folder.preference, watch)
    if watch.cancelled:
        raise Stopped
    return measured


def _signals(state: RunState, home: Home) -> Mapping[int, "ExampleSignals"]:
    from distill.signals.examples import signals_of_run

    return signals_of_run(state, home)


def _layers(student: "Student", config: DistillConfig, model: ModelFile, home: Home) -> "LayerTeacher | None":
    if not config.uses_layers:
        return None
    from distill.layer_teacher import LayerTeacher
    from distill.student import load_base

    teacher = model if config.layer_teacher == "base" else resolve_model(home, config.layer_teacher)
    return LayerTeacher(student.base, load_base(teacher.path, student.dtype), config)


def _parts(history: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Each component of the loss over the steps, by its name; {} where there is but one."""
    names = sorted({key for entry in history for key in entry if key.startswith("loss_")})
    return {name[5:]: [entry[name] for entry in history if name in entry] for name in names}


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
