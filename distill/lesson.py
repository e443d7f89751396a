"""What every process does to train one student: the rows, then preference pairs, then the student's own replies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.config import DistillConfig
from distill.processes import Processes, divided
from distill.registry import Registry
from distill.reporter import Reporter, Stopped
from distill.state import RunState, StudentFolder
from memory.errors import TrainingError
from memory.home import Home
from molting_agent.runtime.models import ModelFile, resolve_model

if TYPE_CHECKING:
    from distill.layer_teacher import LayerTeacher
    from distill.row_signals import ExampleSignals
    from distill.student import Student

OnStep = Callable[[int, float, float], None]
"""Told a step, its loss and its seconds."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the main process decides for all; ``checkpoint`` is that of the rows, ``rows_learnt`` they are done with."""

    state: RunState
    folder: StudentFolder
    precision: str
    checkpoint: Path | None
    rows_learnt: bool


@dataclass(slots=True)
class Learnt:
    """A trained student; ``weights`` are gathered from all processes where they hold parts of it, else None.

    ``parts`` are the components of the rows' loss over the steps; the others are what was measured of later stages.
    """

    student: "Student"
    weights: dict[str, Any] | None = None
    parts: dict[str, list[float]] = field(default_factory=dict)
    preference: dict[str, Any] = field(default_factory=dict)
    own_replies: dict[str, Any] = field(default_factory=dict)


def learn(
    lesson: Lesson, model: ModelFile, home: Home, reporter: Reporter, processes: Processes, on_step: OnStep
) -> Learnt:
    """Train the lesson's student. Errors: Stopped with a checkpoint written, TrainingError."""
    import torch

    from distill.students.choose import make_student

    state, config = lesson.state, lesson.state.config
    if divided() and (state.pairs or config.on_policy_steps):
        raise TrainingError("pairs and own replies are not learnt under FSDP: use distill/accelerate/ddp.yaml")
    if config.threads:
        torch.set_num_threads(config.threads)
    learnt = Learnt(make_student(model.path, config, getattr(torch, lesson.precision)))
    if state.start_molt:
        from distill.students.go_on import go_on_from

        go_on_from(learnt.student, Registry(home.molts_dir).get(state.start_molt).adapter)
    if not lesson.rows_learnt:
        _rows(learnt, lesson, model, home, reporter, processes, on_step)
    if state.pairs:
        learnt.preference = _pairs(learnt.student, lesson, reporter, processes)
    if config.on_policy_steps:
        learnt.own_replies = _own_replies(learnt.student, lesson, home, reporter, processes)
    return learnt


def help_training(model: ModelFile, home: Home, processes: Processes) -> None:
    """What the processes beside the main one do: train each student with it, until there is none left.

    Errors: Stopped, as in the main one; TrainingError.
    """
    reporter = Reporter(None)
    while (lesson := processes.share()) is not None:
        learn(lesson, model, home, reporter, processes, lambda _step, _loss, _s: None)


def _rows(
    learnt: Learnt,
    lesson: Lesson,
    model: ModelFile,
    home: Home,
    reporter: Reporter,
    processes: Processes,
    on_step: OnStep,
) -> None:
    from distill.trainer import Watch, make_trainer

    state, config, student = lesson.state, lesson.state.config, learnt.student
    spoken_of = config.teacher or config.anchor_weight or config.rationale == "two-task"
    signals = _signals(state, home) if spoken_of else {}
    layers = _layers(student, config, model, home)
    watch = Watch(config.checkpoint_s, on_step, lambda: reporter.stopping, processes)
    folder = lesson.folder.checkpoints
    trainer = make_trainer(student, state.rows, state.examples, state.prefixes, config, folder, watch, signals, layers)
    trainer.train(resume_from_checkpoint=str(lesson.checkpoint) if lesson.checkpoint else None)
    if watch.cancelled:
        raise Stopped
    learnt.parts = _parts(trainer.state.log_history)
    if divided():
        learnt.weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)


def _pairs(student: "Student", lesson: Lesson, reporter: Reporter, processes: Processes) -> dict[str, Any]:
    """Teach the preference pairs to a student that has learnt the replies. Errors: Stopped."""
    from distill.preference import prefer
    from distill.trainer import Watch

    state, folder = lesson.state, lesson.folder.preference

    def on_step(step: int, loss: float, _step_s: float) -> None:
        reporter.step((), loss=loss, message=f"preference pairs, step {step}")

    if processes.main:
        reporter.phase("training", f"{len(state.pairs)} preference pairs")
    watch = Watch(state.config.checkpoint_s, on_step, lambda: reporter.stopping, processes)
    measured = prefer(student, state.pairs, state.heldout_pairs, state.prefixes, state.config, folder, watch)
    if watch.cancelled:
        raise Stopped
    return measured


def _own_replies(
    student: "Student", lesson: Lesson, home: Home, reporter: Reporter, processes: Processes
) -> dict[str, Any]:
    """Let a teacher judge what the student writes itself. Errors: Stopped, TrainingError."""
    from distill.on_policy import learn_on_policy
    from distill.student import load_base
    from distill.trainer import Watch

    state, config = lesson.state, lesson.state.config
    steps = config.on_policy_steps

    def on_step(step: int, loss: float, _step_s: float) -> None:
        reporter.step((), step=step, steps=steps, loss=loss, message=f"own replies, step {step} of {steps}")

    if processes.main:
        reporter.phase("training", f"{steps} steps of own replies, judged by {config.on_policy_teacher}")
    teacher = load_base(resolve_model(home, config.on_policy_teacher).path, student.dtype, attention="sdpa")
    watch = Watch(config.checkpoint_s, on_step, lambda: reporter.stopping, processes)
    folder = lesson.folder.own_replies
    measured = learn_on_policy(student, teacher, state.rows, state.examples, state.prefixes, config, folder, watch)
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
