"""The purification table: a student learns CommonsenseQA from one to four teachers' rationales, mixed or purified."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from distill.config import DistillConfig, load_config
from distill.dataset import Example, example_of, prefix_tokens
from distill.dialogue import Dialogue
from distill.evaluate.general import score_general
from distill.examination import Scores
from distill.extras import EXPLAIN
from distill.lab.commonsense import read_items
from distill.lab.experiment import GPT3, Arm, Experiment
from distill.lab.explainers import ask, asked_of_items, check, missing
from distill.lab.folder import LabFolder, Result
from distill.lab.run import BASE, Estimated, left_out
from distill.lab.teaching import GUESSED_ANSWER_S
from distill.plan import FIXED_S
from distill.purify.asked import Asked
from distill.purify.distilling import Alternating, Fixed, Material, Selection, distil, rows_of
from distill.purify.embedding import embed_with
from distill.purify.methods import cases_of
from distill.purify.protocol import Case
from distill.purify.ranking import lesson_of
from distill.purify.reinforce import Policy
from distill.purify.session import Choice, chosen_by
from distill.reporter import Reporter, Stopped
from distill.speed import read_speed
from memory.errors import TrainingError
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import resolve_model
from molting_agent.runtime.template import Message

if TYPE_CHECKING:
    from distill.student import Student

QUESTIONS_A_ROW = 4
CONTEXT_TOKENS = 2048
CHOSEN = "chosen"
REINFORCE = "reinforce"
# For the estimate, before anything is in tokens: a question with its answer, and with a rationale.
PREDICT_TOKENS, EXPLAIN_TOKENS = 70, 130
# A question is judged by its five choices; an item of the general questions has four.
JUDGED_ITEMS = 1.25


class PurificationLab:
    """The experiment on one home, whose teachers explain the questions. The caller holds the home's training lock."""

    def __init__(
        self, home: Home, experiment: Experiment, reporter: Reporter, data: Path, *, model_name: str = ""
    ) -> None:
        assert experiment.teach is not None  # noqa: S101 - the file was checked for it
        self.home, self.experiment, self.reporter = home, experiment, reporter
        self.folder = LabFolder(home, experiment)
        missing_teachers = left_out(experiment, home)
        self.arms = [arm for arm in experiment.arms if arm.name not in missing_teachers]
        self.names = [n for n in dict.fromkeys(name for arm in self.arms for name in arm.taught) if n != GPT3]
        check(home, self.names)
        self.model = resolve_model(home, model_name)
        self._model_name = model_name
        self.learnt, self.judged = read_items(data, experiment.teach.questions, experiment.judged)
        self._merge = experiment.teach.merge

    def config(self, arm: Arm, seed: int) -> DistillConfig:
        """An arm's settings. Errors: UsageError."""
        return load_config(arm.recipe, self.experiment.settings_of(arm, seed))

    def estimate(self) -> Estimated:
        """What is left to do, by guesses of a question's size and the speed that was measured in this home."""
        done = {(result.arm, result.seed) for result in self.folder.read()}
        speed = read_speed(self.home.training_dir, self.model.source_sha256)
        left = [(arm, seed) for seed, arm in self._order() if (arm.name, seed) not in done]
        train_s = 0.0
        for arm, seed in left:
            rationales = 1 if arm.purify else len(arm.taught)
            tokens = len(self.learnt) * (PREDICT_TOKENS + rationales * EXPLAIN_TOKENS)
            train_s += self.config(arm, seed).epochs * tokens / speed.train_tokens_per_s + FIXED_S
        judge_s = (len(left) + ((BASE, 0) not in done)) * len(self.judged) * JUDGED_ITEMS * speed.judge_s_an_item
        answers = missing(self.home, self.names, self.learnt) if left else 0
        return Estimated(len(left), train_s, judge_s, speed.measured, answers * GUESSED_ANSWER_S)

    def go(self, on_result: Callable[[Result], None] = lambda _result: None) -> list[Result]:
        """Ask, train and judge what is missing; all results. Errors: Stopped, TrainingError, UsageError."""
        self.folder.open(self.experiment)
        done = {(result.arm, result.seed) for result in self.folder.read()}

        def keep(result: Result) -> None:
            self.folder.add(result)
            on_result(result)

        if (BASE, 0) not in done:
            seed, arm = next(self._order())
            keep(Result(BASE, 0, self._scores(BASE, None, self.config(arm, seed))))
        left = [(seed, arm) for seed, arm in self._order() if (arm.name, seed) not in done]
        if not left:
            return self.folder.read()
        self.reporter.phase("collecting", f"asking {', '.join(self.names) or 'nobody'} {len(self.learnt)} questions")
        ask(self.home, self.names, self.learnt, self.reporter.stop, self._show)
        self.reporter.check()
        asked = asked_of_items(self.home, self.names, self.learnt)
        for seed, arm in left:
            keep(self._measure(arm, seed, asked))
        return self.folder.read()

    def _order(self) -> Iterator[tuple[int, Arm]]:
        """Seed by seed, so that every arm is there after the first."""
        for seed in self.experiment.seeds:
            for arm in self.arms:
                yield seed, arm

    def _measure(self, arm: Arm, seed: int, asked: Sequence[Asked]) -> Result:
        config, work = self.config(arm, seed), self.folder.work(arm.name.replace(" ", "-"), seed).path.parent
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        materials, selection, prefix = self._material(arm, seed, asked, config)
        rows = rows_of(len(materials), QUESTIONS_A_ROW, round(config.epochs), seed)
        self.reporter.phase("training", f"{arm.name}, seed {seed}: {len(rows)} steps", steps=len(rows))
        started = time.monotonic()
        student = self._student(config)

        def on_step(step: int, loss: float) -> None:
            self.reporter.step((), step=step, steps=len(rows), loss=loss, message=f"step {step} of {len(rows)}")

        whole = distil(
            student,
            materials,
            rows,
            prefix,
            selection,
            config,
            work / "checkpoints",
            on_step=on_step,
            should_stop=lambda: self.reporter.stopping,
        )
        if not whole:
            raise Stopped
        train_s = time.monotonic() - started
        adapter = self._exported(student, work)
        del student
        scores = self._scores(arm.name, adapter, config)
        shutil.rmtree(work, ignore_errors=True)
        visits = [sum(len(example.tokens) for example in _used(material, arm)) for material in materials]
        return Result(
            arm.name,
            seed,
            scores,
            steps=len(rows),
            tokens=round(config.epochs) * sum(visits),
            conversations=len(materials),
            train_s=round(train_s, 1),
        )

    def _student(self, config: DistillConfig) -> "Student":
        import torch

        from distill.student import faster_dtype, load_student

        if config.threads:
            torch.set_num_threads(config.threads)
        return load_student(self.model.path, config, faster_dtype(self.model.path, config.precision))

    @staticmethod
    def _exported(student: "Student", work: Path) -> Path:
        """The adapter as the runtime loads it."""
        from distill.export.adapter import export_adapter

        student.model.save_pretrained(work / "adapter")
        export_adapter(work / "adapter", work / "adapter.gguf", student.base.config, name="purification")
        return work / "adapter.gguf"

    def _material(
        self, arm: Arm, seed: int, asked: Sequence[Asked], config: DistillConfig
    ) -> tuple[list[Material], Selection, list[int]]:
        """What an arm learns of each question, who chooses among it, and the system prompt's tokens."""
        own = [replace(one, answers=tuple(a for a in one.answers if a.teacher in arm.taught)) for one in asked]
        told = [{answer.teacher: answer.rationale for answer in one.answers} for one in own]
        cases: list[Case] = []
        if arm.purify:
            kept = [(item, one) for item, one in zip(self.learnt, own, strict=True) if one.answers]
            items, own = [item for item, _one in kept], [one for _item, one in kept]
            cases = cases_of(own, embed_with(self.home, self._show))
            told = [dict(zip(case.teachers, case.rationales, strict=True)) for case in cases]
        else:
            items = self.learnt
        if arm.purify and arm.purify != REINFORCE:
            told = [{CHOSEN: text} for text in self._purified(arm, own, cases, seed)]
        with EngineClient(self.model, home=self.home, context_tokens=CONTEXT_TOKENS) as engine:

            def example(name: str, question: str, reply: str, task: str) -> Example:
                messages = (Message("user", question), Message("assistant", reply, target=True))
                found = example_of(Dialogue(name, messages, (), own=False, started_at=""), engine, config)
                return replace(found, task=task)

            materials = [
                Material(
                    example(item.name, item.text, item.right, "predict"),
                    {who: example(item.name, EXPLAIN + item.text, text, "explain") for who, text in said.items()},
                )
                for item, said in zip(items, told, strict=True)
            ]
            prefix = prefix_tokens(config.short_system, engine)
        if arm.purify == REINFORCE:
            policy = Policy(sorted(arm.taught), len(cases[0].vector), seed)
            return materials, Alternating(policy, cases), prefix
        return materials, Fixed([tuple(material.explain) for material in materials]), prefix

    def _purified(self, arm: Arm, own: Sequence[Asked], cases: Sequence[Case], seed: int) -> list[str]:
        """One rationale a question, by a method that is learnt before the student is. Errors: Stopped."""
        merging = self._merge if arm.purify == "aggregate" else ""
        choice = Choice(arm.purify, arm.taught, merging=merging, model=self._model_name, seed=seed)
        lessons = [lesson_of(case) for case in cases if len(case.teachers) > 1]
        try:
            chosen = chosen_by(self.home, own, cases, lessons, choice, self.reporter.stop, self._show)
        except TrainingError:
            self.reporter.check()
            raise
        return [purified.rationale for purified in chosen]

    def _scores(self, name: str, adapter: Path | None, config: DistillConfig) -> Scores:
        self.reporter.phase("judging", f"{name}: {len(self.judged)} questions")
        with EngineClient(self.model, home=self.home, adapter=adapter, context_tokens=CONTEXT_TOKENS) as engine:
            questions = [item.as_choice() for item in self.judged]
            found = score_general(engine, questions, config.short_system, on_item=self.reporter.check)
        return Scores(general=list(found.right_probability), general_right=list(found.right))

    def _show(self, text: str) -> None:
        self.reporter.step((), message=text)


def _used(material: Material, arm: Arm) -> list[Example]:
    """What is trained on of a question in one visit; where a policy draws, the mean could be any of its rationales."""
    explained = list(material.explain.values())
    return [material.predict, *(explained[:1] if arm.purify else explained)]
