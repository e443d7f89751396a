"""A retraining from its plan to its verdict, each step picking up what an interrupted run has finished."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distill import diary, plan, report
from distill.carriers import forgetful
from distill.collect import Collected, collect
from distill.config import DistillConfig
from distill.dialogue import Dialogue
from distill.evaluate.exam import exam_of
from distill.examination import ScoreFile, Scores, items_of
from distill.extras import fewer_lessons, older
from distill.forget import is_marked, unmark
from distill.judgement import CHAMPION, conclude
from distill.manifest import (
    ADAPTER_NAME,
    SCHEMA,
    WHOLE_NAME,
    describe_files,
    read_manifest,
    target_ids,
    write_manifest,
)
from distill.pair_lessons import PairLesson, pair_cost_tokens, pair_lessons, too_few_pairs
from distill.processes import ALONE, Processes
from distill.registry import Molt, Registry
from distill.reporter import Reporter
from distill.running import as_model, running
from distill.school import train_student
from distill.sides import Side, examine_sides
from distill.speed import Speed, keep_speed, read_speed
from distill.state import RunFolder, RunState
from distill.targets import learnt_keys
from memory.errors import MoltError, TrainingError
from memory.files import fsync_folder, write_atomic
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import ModelFile, resolve_model

JUDGE_CONTEXT_TOKENS = 4096


class TooLittle(TrainingError):  # noqa: N818 - an outcome with its own exit code
    """Not enough new replies to learn from."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, the state it decided, and the state's examples in words, one for one (a teacher scores words)."""

    plan: plan.Plan
    state: RunState
    dialogues: list[Dialogue]


class Run:
    """One retraining of a home. The caller holds the home's training lock."""

    def __init__(self, home: Home, reporter: Reporter, *, model_name: str = "", processes: Processes = ALONE) -> None:
        self.home = home
        self.reporter = reporter
        self.processes = processes
        self.registry = Registry(home.molts_dir)
        self.folder = RunFolder(home.training_dir)
        self.model: ModelFile = resolve_model(home, model_name)

    @property
    def base_sha256(self) -> str:
        """The published base file: the key of its molts."""
        return self.model.source_sha256

    def plan(self, config: DistillConfig, minutes: float | None) -> tuple[plan.Plan, RunState]:
        """Decide what to train on, and how long; nothing is written. Errors: TrainingError."""
        planned = self.planned(config, minutes)
        return planned.plan, planned.state

    def planned(self, config: DistillConfig, minutes: float | None) -> Planned:
        """``plan`` with what ``scored`` needs to go on from it."""
        self.reporter.phase("collecting", "reading conversations")
        with EngineClient(self.model, home=self.home, context_tokens=JUDGE_CONTEXT_TOKENS) as engine:
            collected = collect(self.home, engine, config)
            pairs, judged_pairs = self._pairs(collected, engine, config)
        self.reporter.check()
        short = too_few_pairs(len(pairs), config)
        if short:
            pairs = judged_pairs = []
        start_molt = self._start(config)
        learnt = learnt_keys(self.registry, self.base_sha256)
        kept = older(collected.examples, learnt, config.older_share)
        if fewer := len(collected.examples) - len(kept):
            collected.left_out["learnt already, beyond older_share"] = fewer
        students = 2 if config.soft and config.twin else 1
        speed = read_speed(self.home.training_dir, self.base_sha256)
        exam = exam_of(collected, config)
        items = items_of(exam, config)
        made, used, rows = plan.fit(
            kept,
            [len(prefix) for prefix in collected.prefixes],
            config,
            tokens_per_s=speed.train_tokens_per_s,
            learnt=learnt,
            heldout=len(collected.heldout),
            judge_s=(1 + students) * items * speed.judge_s_an_item,
            left_out=collected.left_out,
            minutes_given=minutes,
            extras=fewer_lessons(collected.extras, len(kept) / max(1, len(collected.examples))),
            students=students,
        )
        made = replace(made, pairs=len(pairs), notes=(short,) if short else ())
        if pairs:
            tokens = pair_cost_tokens(pairs, [len(prefix) for prefix in collected.prefixes], config)
            made = replace(made, train_s=made.train_s + tokens / speed.train_tokens_per_s)
        state = RunState(
            molt=self.registry.next_number(),
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            base={
                "name": self.model.name,
                "sha256": self.base_sha256,
                "runtime_sha256": self.model.sha256,
                "bytes": self.model.bytes,
            },
            config=config,
            exam=exam,
            prefixes=collected.prefixes,
            examples=tuple(used),
            rows=tuple(rows),
            plan=made.to_dict(),
            minutes=minutes,
            start_molt=start_molt,
            pairs=tuple(pairs),
            heldout_pairs=tuple(judged_pairs),
        )
        examples, dialogues = [*collected.examples, *collected.extras], [*collected.parts, *collected.extra_parts]
        words = {id(example): dialogue for example, dialogue in zip(examples, dialogues, strict=True)}
        return Planned(made, state, [words[id(example)] for example in used])

    def _start(self, config: DistillConfig) -> int:
        """The molt to go on from, 0 for none. Errors: TrainingError where it may not be learnt on."""
        if config.start == "base":
            return 0
        if config.start.isdecimal():
            molt: Molt | None = self.registry.get(int(config.start))
        else:
            molt = self.registry.champion(self.base_sha256)
        if molt is None or molt.whole or molt.base_sha256 != self.base_sha256:
            raise TrainingError("there is no molt with an adapter to go on from: --set start=base")
        if molt.number in forgetful(self.home.molts_dir):
            raise TrainingError(
                f"molt {molt.number} learnt what was forgotten since, and what goes on from it would keep it: "
                "--set start=base"
            )
        return molt.number

    @staticmethod
    def _pairs(
        collected: Collected, engine: EngineClient, config: DistillConfig
    ) -> tuple[list[PairLesson], list[PairLesson]]:
        """The preference pairs to learn and to judge by; none where preferences are not learnt."""
        if not config.preference_epochs:
            return [], []
        heldout = {dialogue.conversation for dialogue in collected.heldout}
        return pair_lessons(collected.pairs, heldout, engine, config)

    def begin(self, config: DistillConfig, minutes: float | None) -> RunState:
        """Prepare and write the plan down. Killed while the teacher scores, it begins again and finds what was scored.

        Errors: TooLittle, which says how much is missing; TrainingError where the teacher cannot score.
        """
        unmark(self.home.training_dir)
        planned = self.planned(config, minutes)
        if planned.plan.missing:
            raise TooLittle(plan.too_little(planned.plan))
        state = self.scored(planned)
        self.folder.save(state)
        return state

    def scored(self, planned: Planned) -> RunState:
        """The state with its teacher's signals in the store; not written down. Errors: TrainingError."""
        state = planned.state
        if not (state.config.teacher or state.config.anchor_weight):
            return state
        from distill.signals.examples import score_run

        return score_run(state, planned.dialogues, self.home, self.model, self.reporter)

    def resume(self) -> RunState:
        """The interrupted run. Errors: TrainingError when there is none or the base has changed since."""
        self._heed_forgetting()
        state = self.folder.load()
        if state.base["sha256"] != self.base_sha256:
            raise TrainingError(
                f"the interrupted retraining is of {state.base['name']}, and {self.model.name} is in use now; "
                "start anew: molt retrain --fresh"
            )
        return state

    def go(self, state: RunState) -> dict[str, Any]:
        """Train, export, judge and file the molt; returns its report. Errors: Stopped, TrainingError."""
        state = self._renumbered(state)
        filed = self._filed(state)
        measured = self._train(state) if filed is None else {}
        self._heed_forgetting()
        self.processes.share()  # the others may go: what follows is done by one
        if filed is None:
            self.reporter.check()
            filed = self._judge(state, measured)
        speaks = self._promote(state)
        diary.write(self.home.root, diary.entry(filed, state.started_at))
        self.folder.clear()
        verdict = filed["verdict"]
        outcome = f"{verdict['verdict']}; {verdict['reasons'][0]}"
        if verdict["verdict"] == "promoted" and not speaks:
            outcome = f"passed the gate, but the champion is pinned; let it speak: molt molts promote {state.molt}"
        self.reporter.phase("promoted" if speaks else "rejected", f"molt {state.molt}: {outcome}", eta_s=0.0)
        return filed

    # -- the steps -----------------------------------------------------------------------------------------------------

    def _heed_forgetting(self) -> None:
        """Give the run up when something it learns from was forgotten since it began. Errors: TrainingError."""
        if is_marked(self.home.training_dir):
            self.folder.clear()
            unmark(self.home.training_dir)
            raise TrainingError("something that this retraining learns from was forgotten; start anew: molt retrain")

    def _renumbered(self, state: RunState) -> RunState:
        """Another molt may have taken the number while this run was interrupted."""
        folder = self.registry.folder(state.molt)
        if not folder.exists():
            return state
        try:
            is_ours = read_manifest(folder)["created_at"] == state.started_at
        except MoltError:
            is_ours = False
        return state if is_ours else replace(state, molt=self.registry.next_number())

    def _filed(self, state: RunState) -> dict[str, Any] | None:
        """The report of the finished molt, if the run died after it was filed."""
        path = self.registry.folder(state.molt) / "report.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def _train(self, state: RunState) -> dict[str, dict[str, Any]]:
        """Train and export the candidate, and its hard-label twin where there is one; what was measured, by name."""
        measured: dict[str, dict[str, Any]] = {}
        names = state.students
        for number, name in enumerate(names):
            later_s = state.plan["judge_s"] + (len(names) - 1 - number) * state.plan["train_s"]
            measured[name] = train_student(
                state.of_student(name),
                self.folder.student(name),
                self.model,
                self.home,
                self.reporter,
                name=name,
                later_s=later_s,
                processes=self.processes,
            )
            self.reporter.check()
        return measured

    def _judge(self, state: RunState, measured: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Score champion and students in the runtime, decide, and file the better student with the report."""
        champion, _why = self.registry.load_champion(self.base_sha256)
        model, adapter = running(champion, self.model, settled=False)
        sides = [Side(CHAMPION, model, adapter)]
        for name in state.students:
            folder = self.folder.student(name)
            whole = state.config.student == "whole"
            sides.append(
                Side(name, as_model(folder.gguf, self.model) if whole else self.model, None if whole else folder.gguf)
            )
        started = time.monotonic()
        scores, fresh = self._scores(state, sides)
        judge_s = time.monotonic() - started
        self._heed_forgetting()
        judgement = conclude(scores, state.config)
        chosen = measured[judgement.chosen]
        built = report.build(
            state,
            judgement,
            champion_number=champion.number if champion else 0,
            losses=chosen["losses"],
            measured={**{k: v for k, v in chosen.items() if k != "losses"}, "judge_s": round(judge_s, 1)},
        )
        self._file(state, built, judgement.chosen)
        if chosen["train_tokens_per_s"] and fresh:
            speed = Speed(chosen["train_tokens_per_s"], judge_s / fresh, measured=True)
            keep_speed(self.home.training_dir, self.base_sha256, speed)
        return built

    def _scores(self, state: RunState, sides: Sequence[Side]) -> tuple[dict[str, Scores], int]:
        """Each side's scores, and how many items were examined now: a resumed run examines nothing twice."""
        total = len(state.exam.learnt) + len(sides) * items_of(state.exam, state.config)
        started, done = time.monotonic(), 0

        def on_side(name: str) -> None:
            what = "asking the base what it would say" if name == "base" else f"examining the {name}"
            self.reporter.phase("judging", what, step=done, steps=total)

        def on_item() -> None:
            nonlocal done
            self.reporter.check()
            done += 1
            rate = (time.monotonic() - started) / done
            self.reporter.step((), step=done, steps=total, eta_s=rate * max(0, total - done))

        file = ScoreFile(self.folder.scores)
        return examine_sides(
            sides, self.model, state.exam, state.config, self.home, file, on_side=on_side, on_item=on_item
        )

    def _file(self, state: RunState, built: dict[str, Any], chosen: str) -> None:
        """Complete the molt's folder with the chosen student and give it its place by one rename."""
        folder, student = self.folder.molt, self.folder.student(chosen)
        folder.mkdir(exist_ok=True)
        whole = state.config.student == "whole"
        shutil.copy(student.gguf, folder / (WHOLE_NAME if whole else ADAPTER_NAME))
        if not whole:
            shutil.copytree(student.peft, folder / "adapter", dirs_exist_ok=True)
        write_atomic(folder / "report.json", json.dumps(built, ensure_ascii=False, indent=1) + "\n")
        write_atomic(folder / "report.md", report.to_markdown(built) + "\n")
        names = sorted(
            str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json"
        )
        parent = read_manifest(self.registry.folder(state.start_molt)) if state.start_molt else {}
        write_manifest(folder, manifest_of(state, built, folder, names, parent))
        fsync_folder(folder)
        folder.rename(self.registry.folder(state.molt))
        fsync_folder(self.home.molts_dir)

    def _promote(self, state: RunState) -> bool:
        """Let it speak if the gate says so and the champion is not pinned; True when it does."""
        manifest = read_manifest(self.registry.folder(state.molt))
        speaks = manifest["verdict"] == "promoted" and not self.registry.is_pinned(self.base_sha256)
        if speaks:
            self.registry.promote(state.molt, self.base_sha256)
        return speaks


def manifest_of(
    state: RunState, built: dict[str, Any], folder: Path, names: list[str], parent: Mapping[str, Any]
) -> dict[str, Any]:
    """What the molt was made from and with; ``created_at`` is the start of its run and tells runs apart.

    What it went on from (``parent``, a manifest, or empty) it has learnt too.
    """
    own = [{"conversation": t.key[0], "message": t.key[1], "sha256": t.key[2], "why": t.why} for t in state.targets]
    known = target_ids({"targets": own})
    before = [entry for entry in parent.get("targets", ()) if not target_ids({"targets": [entry]}) <= known]
    return {
        "schema": SCHEMA,
        "molt": state.molt,
        "title": report.title(built),
        "created_at": state.started_at,
        "base_name": state.base["name"],
        "base_sha256": state.base["sha256"],
        "runtime_sha256": state.base["runtime_sha256"],
        "verdict": built["verdict"]["verdict"],
        "champion": built["champion"],
        "config": state.config.to_dict(),
        "start": state.start_molt,
        "targets": [*before, *own],
        "heldout": [dialogue.conversation for dialogue in state.heldout],
        "files": describe_files(folder, names),
    }
