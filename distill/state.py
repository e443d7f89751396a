"""The run under way, on disk: everything that a resumed run needs to go on with the same data and number."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from distill.config import DistillConfig, from_dict
from distill.dataset import Example
from distill.dialogue import Dialogue
from distill.evaluate.exam import Exam, exam_from
from distill.manifest import ADAPTER_NAME
from distill.pair_lessons import PairLesson
from distill.rows import Row
from distill.targets import Target
from memory.errors import TrainingError
from memory.files import write_atomic

STATE_NAME = "run.json"
SCHEMA = 4


@dataclass(frozen=True, slots=True)
class RunState:
    """What was decided before training. ``prefixes`` are the token ids of the full identity and of the short prompt.

    ``start_molt`` is the molt whose adapter the student begins with; 0: a fresh one.

    ``pairs`` are learnt after the replies; () where preferences are not, or too few.

    ``signal_keys`` and ``anchor_keys`` name for each example the signals of its replies in the store; () where none.
    """

    molt: int
    started_at: str
    base: Mapping[str, Any]
    config: DistillConfig
    exam: Exam
    prefixes: tuple[tuple[int, ...], ...]
    examples: tuple[Example, ...]
    rows: tuple[Row, ...]
    plan: Mapping[str, Any]
    minutes: float | None = None
    signal_keys: tuple[tuple[str, ...], ...] = ()
    anchor_keys: tuple[tuple[str, ...], ...] = ()
    scored: Mapping[str, Any] = field(default_factory=dict)
    start_molt: int = 0
    pairs: tuple[PairLesson, ...] = ()
    heldout_pairs: tuple[PairLesson, ...] = ()

    @property
    def system(self) -> str:
        """The full identity, as the runtime has it."""
        return self.exam.system

    @property
    def heldout(self) -> tuple[Dialogue, ...]:
        """The conversations kept for judging."""
        return self.exam.heldout

    def row_tokens(self, row: Row) -> int:
        """Tokens of one step, prefix included."""
        return len(self.prefixes[row.prefix]) + sum(len(self.examples[index].tokens) for index in row.examples)

    @property
    def students(self) -> tuple[str, ...]:
        """Who is trained: the candidate, and its hard-label twin where it differs."""
        return ("candidate", "twin") if self.config.soft and self.config.twin else ("candidate",)

    def of_student(self, name: str) -> "RunState":
        """The run as one student has it: the twin learns the same replies in the same steps, by hard labels alone."""
        if name == "candidate":
            return self
        explained = {index for index, example in enumerate(self.examples) if example.task == "explain"}
        rows = [replace(row, examples=tuple(i for i in row.examples if i not in explained)) for row in self.rows]
        rows = [row for row in rows if row.examples]
        return replace(self, config=self.config.hard_label_twin(), rows=tuple(rows), pairs=(), heldout_pairs=())

    @property
    def targets(self) -> list[Target]:
        """The replies that are trained on, in the order of the conversations."""
        used = sorted({index for row in self.rows for index in row.examples})
        return [target for index in used for target in self.examples[index].targets]


class StudentFolder:
    """``run/candidate`` or ``run/twin``: one student's checkpoints, its adapter in both forms, and its loss curve."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.peft = path / "adapter"
        self.gguf = path / ADAPTER_NAME
        self.curve = path / "curve.json"
        self.preference = path / "preference"
        self.own_replies = path / "own-replies"


class RunFolder:
    """``molts/.training/run``: the state, a folder for each student, and what is finished so far."""

    def __init__(self, training_dir: Path) -> None:
        self.path = training_dir / "run"
        self.scores = self.path / "scores.json"
        self.molt = self.path / "molt"

    def student(self, name: str) -> StudentFolder:
        """The folder of ``candidate`` or ``twin``."""
        return StudentFolder(self.path / name)

    @property
    def exists(self) -> bool:
        """A run was begun here and is not finished."""
        return (self.path / STATE_NAME).is_file()

    def clear(self) -> None:
        """Forget the run."""
        shutil.rmtree(self.path, ignore_errors=True)

    def save(self, state: RunState) -> None:
        """Begin a run: an older one is forgotten."""
        self.clear()
        self.path.mkdir(parents=True, mode=0o700)
        write_atomic(self.path / STATE_NAME, json.dumps({"schema": SCHEMA, **asdict(state)}, ensure_ascii=False))

    def load(self) -> RunState:
        """The run that was begun. Errors: TrainingError when there is none or its state cannot be read."""
        path = self.path / STATE_NAME
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("schema") != SCHEMA:
                raise ValueError("written by another version")
            return _state(values)
        except FileNotFoundError:
            raise TrainingError("there is no interrupted retraining to resume; start one: molt retrain") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{path} cannot be read ({error}); start anew: molt retrain") from None

    def read_json(self, path: Path) -> Any:
        """A file of this run; None when it is absent or damaged (its step is then done again)."""
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None


def _state(values: dict[str, Any]) -> RunState:
    return RunState(
        **{
            **values,
            "config": from_dict(values["config"]),
            "prefixes": tuple(tuple(ids) for ids in values["prefixes"]),
            "examples": tuple(_example(item) for item in values["examples"]),
            "signal_keys": tuple(tuple(keys) for keys in values["signal_keys"]),
            "anchor_keys": tuple(tuple(keys) for keys in values["anchor_keys"]),
            "rows": tuple(Row(item["prefix"], tuple(item["examples"]), item["epoch"]) for item in values["rows"]),
            "pairs": tuple(PairLesson.from_dict(item) for item in values["pairs"]),
            "heldout_pairs": tuple(PairLesson.from_dict(item) for item in values["heldout_pairs"]),
            "exam": exam_from(values["exam"]),
        }
    )


def _targets(items: list[dict[str, Any]]) -> tuple[Target, ...]:
    return tuple(Target(**item) for item in items)


def _example(item: dict[str, Any]) -> Example:
    changed = {"tokens": tuple(item["tokens"]), "is_target": tuple(item["is_target"])}
    return Example(**{**item, **changed, "targets": _targets(item["targets"])})
