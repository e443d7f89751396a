"""Runs an experiment arm by arm with the trainer and the judge of a molt; a stopped run goes on where it was."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from distill.config import DistillConfig, load_config
from distill.examination import Scores, items_of
from distill.forget import is_marked, unmark
from distill.lab.experiment import Arm, Experiment
from distill.lab.folder import LabFolder, Result
from distill.lab.teaching import asking_s, is_ready, questions, remove_sets, set_name, teach
from distill.plan import FIXED_S, minutes
from distill.reporter import Reporter
from distill.run import Planned, Run
from distill.running import as_model
from distill.school import train_student
from distill.sides import Side, examine_sides
from distill.speed import read_speed
from distill.state import RunState
from distill.teachers.settings import read_teachers
from memory.errors import TrainingError
from memory.home import Home

BASE = "base"


@dataclass(frozen=True, slots=True)
class Estimated:
    """How long what is left of an experiment takes: trainings, their seconds, those of judging and of teachers."""

    trainings: int
    train_s: float
    judge_s: float
    measured: bool
    ask_s: float = 0.0

    @property
    def text(self) -> str:
        whole = minutes(self.ask_s + self.train_s + self.judge_s)
        guess = "" if self.measured else ", guessed: nothing was trained in this home yet"
        parts = f"{minutes(self.train_s)} of training, {minutes(self.judge_s)} of judging"
        if self.ask_s:
            parts = f"{minutes(self.ask_s)} of asking teachers, {parts}"
        return f"{self.trainings} trainings left, about {whole} in all ({parts}{guess})."


def left_out(experiment: Experiment, home: Home) -> dict[str, str]:
    """The arms whose teachers this home does not have, with the first that is missing. Errors: HomeError."""
    known = read_teachers(home)
    merging = experiment.teach.merge if experiment.teach else ""
    needed = {arm.name: (*arm.needs, *([merging] if arm.purify == "aggregate" else [])) for arm in experiment.arms}
    missing = {arm: [name for name in names if name not in known] for arm, names in needed.items()}
    return {arm: names[0] for arm, names in missing.items() if names}


class Lab:
    """One experiment on one home. The caller holds the home's training lock."""

    def __init__(self, home: Home, experiment: Experiment, reporter: Reporter, *, model_name: str = "") -> None:
        self.home, self.experiment, self.reporter = home, experiment, reporter
        self.arms = [arm for arm in experiment.arms if arm.name not in left_out(experiment, home)]
        self.folder = LabFolder(home, experiment)
        self.run = Run(home, reporter, model_name=model_name)
        self._model_name = model_name
        self._planned: dict[tuple[str, int], Planned] = {}

    def config(self, arm: Arm, seed: int) -> DistillConfig:
        """An arm's settings. Its twin is another arm: none is trained beside it. Errors: UsageError.

        What teachers say is among them once it is there: before that an arm is planned by its logs alone.
        """
        config = load_config(arm.recipe, self.experiment.settings_of(arm, seed))
        taught = set_name(self.experiment, arm) if arm.taught and is_ready(self.home, self.experiment, arm) else ""
        return replace(config, twin=False, taught=taught or config.taught)

    def estimate(self) -> Estimated:
        """What is left to do, by the plan of each arm and the speed that was measured in this home.

        The plans are kept for the trainings, so that nothing is collected twice.
        """
        done = {(result.arm, result.seed) for result in self.folder.read()}
        speed = read_speed(self.home.training_dir, self.run.base_sha256)
        train_s = judge_s = 0.0
        trainings = 0
        for arm in self.arms:
            left = [seed for seed in self.experiment.seeds if (arm.name, seed) not in done]
            if not left:
                continue
            planned = self._plan(arm, left[0])
            made, state = planned.plan, planned.state
            trainings += len(left)
            share = self._rows(state, arm) / len(state.rows) if state.rows else 0.0
            train_s += len(left) * (share * made.train_s + FIXED_S)
            judge_s += len(left) * items_of(state.exam, state.config) * speed.judge_s_an_item
        return Estimated(trainings, train_s, judge_s, speed.measured, self._ask_s())

    def _ask_s(self) -> float:
        if all(is_ready(self.home, self.experiment, arm) for arm in self.arms):
            return 0.0
        return asking_s(self.home, self.experiment, questions(self.home, self.experiment))

    def _plan(self, arm: Arm, seed: int) -> Planned:
        """Made once, and kept where what the arm learns is all there."""
        planned = self._planned.get((arm.name, seed)) or self.run.planned(self.config(arm, seed), None)
        if is_ready(self.home, self.experiment, arm):
            self._planned[arm.name, seed] = planned
        return planned

    def go(self, on_result: Callable[[Result], None] = lambda _result: None) -> list[Result]:
        """Train and judge what is missing; all results. Errors: Stopped, TrainingError, UsageError."""
        self.folder.open(self.experiment)
        unmark(self.home.training_dir)
        teach(self.home, self.experiment, self.arms, self.reporter, self._model_name)
        done = {(result.arm, result.seed) for result in self.folder.read()}
        if any((arm.name, seed) not in done for seed, arm in self._order()):
            self._keep_exam(begun=bool(done))
        for seed, arm in self._order():
            if (arm.name, seed) not in done:
                result = self._measure(arm, seed)
                self._heed_forgetting()
                self.folder.add(result)
                # The checkpoints and the adapter have served; the scores are what is compared.
                shutil.rmtree(self.folder.work(arm.name, seed).path.parent, ignore_errors=True)
                on_result(result)
            if (BASE, 0) not in done:
                done.add((BASE, 0))
                result = self._judged_base(self.config(arm, seed))
                self.folder.add(result)
                on_result(result)
        return self.folder.read()

    def _keep_exam(self, *, begun: bool) -> None:
        """The exam that all arms sit is that of the arm with most conversations: the voice is learnt from them.

        Errors: TrainingError where the exam that some arms have sat is gone.
        """
        if self.folder.exam() is not None:
            return
        if begun:
            raise TrainingError(
                f"what {self.experiment.name} judges by was forgotten; begin anew: molt lab run --fresh"
            )
        exams = [self._plan(arm, self.experiment.seeds[0]).state.exam for arm in self.arms]
        self.folder.keep_exam(max(exams, key=lambda exam: len(exam.learnt)))

    def _heed_forgetting(self) -> None:
        """Errors: TrainingError where something that an arm learnt from was forgotten meanwhile."""
        if is_marked(self.home.training_dir):
            raise TrainingError("something that this experiment learns from was forgotten; go on: molt lab run")

    def _order(self) -> Iterator[tuple[int, Arm]]:
        """Seed by seed, so that every arm is there after the first."""
        for seed in self.experiment.seeds:
            for arm in self.arms:
                yield seed, arm

    def _measure(self, arm: Arm, seed: int) -> Result:
        config, folder = self.config(arm, seed), self.folder.work(arm.name, seed)
        self.reporter.phase("collecting", f"{arm.name}, seed {seed}")
        if folder.exists:
            state = folder.load()
        else:
            state = self.run.scored(self._plan(arm, seed))
            del self._planned[arm.name, seed]
            state = replace(state, rows=state.rows[: self._rows(state, arm)])
            folder.path.parent.mkdir(parents=True, exist_ok=True)
            folder.save(state)
        student = folder.student("candidate")
        measured = train_student(
            state, student, self.run.model, self.home, self.reporter, name="candidate", later_s=0.0
        )
        self.reporter.check()
        whole = config.student == "whole"
        side = Side(
            arm.name,
            as_model(student.gguf, self.run.model) if whole else self.run.model,
            None if whole else student.gguf,
        )
        return Result(
            arm.name,
            seed,
            self._scores(side, config),
            steps=len(state.rows),
            tokens=_row_tokens(state),
            target_tokens=int(state.plan["target_tokens"]),
            conversations=int(state.plan["conversations"]),
            train_s=round(measured["train_s"], 1),
        )

    def _rows(self, state: RunState, arm: Arm) -> int:
        """How many rows an arm trains. Errors: TrainingError where it has too few."""
        wanted = self.experiment.steps or len(state.rows)
        if not 0 < wanted <= len(state.rows):
            raise TrainingError(
                f"the arm {arm.name} has {len(state.rows)} steps to learn from and needs {max(1, wanted)}; import "
                "logs (molt ingest PATH) or raise its epochs"
            )
        return wanted

    def _judged_base(self, config: DistillConfig) -> Result:
        return Result(BASE, 0, self._scores(Side(BASE, self.run.model), config))

    def _scores(self, side: Side, config: DistillConfig) -> Scores:
        """Judged by the exam that all arms share."""
        exam = self.folder.exam()
        if exam is None:
            raise TrainingError("what this experiment judges by was forgotten; begin anew: molt lab run --fresh")
        self.reporter.phase("judging", side.name)
        found, _fresh = examine_sides([side], self.run.model, exam, config, self.home, on_item=self.reporter.check)
        scores = found[side.name]
        if scores.fault:
            raise TrainingError(f"{side.name} does not run: {scores.fault}")
        return scores


def _row_tokens(state: RunState) -> int:
    return sum(state.row_tokens(row) for row in state.rows)


def remove(home: Home, experiment: Experiment) -> None:
    """Forget what an experiment measured, and which answers its arms learnt; the answers themselves stay."""
    shutil.rmtree(LabFolder(home, experiment).path, ignore_errors=True)
    remove_sets(home, experiment)
