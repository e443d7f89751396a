"""``lab/<name>/``: what an experiment has trained and measured so far, arm by arm, in the home it was run on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distill.evaluate.exam import Exam, exam_from
from distill.examination import Scores
from distill.lab.experiment import Experiment
from distill.state import RunFolder
from memory.errors import TrainingError
from memory.files import write_atomic
from memory.home import Home


@dataclass(frozen=True, slots=True)
class Result:
    """One arm with one seed, judged; ``arm`` is ``base`` for the model before any training."""

    arm: str
    seed: int
    scores: Scores
    steps: int = 0
    tokens: int = 0
    target_tokens: int = 0
    conversations: int = 0
    train_s: float = 0.0


class LabFolder:
    """The files of one experiment of a size; ``open`` them before use."""

    def __init__(self, home: Home, experiment: Experiment) -> None:
        suffix = "" if experiment.size == "full" else f"-{experiment.size}"
        self.path = home.root / "lab" / f"{experiment.name}{suffix}"
        self.results = self.path / "results.jsonl"
        self.report = self.path / "report.md"
        self.json = self.path / "report.json"
        self.plot = self.path / "plot.png"
        self._experiment = self.path / "experiment.json"
        self._exam = self.path / "exam.json"

    def open(self, experiment: Experiment) -> None:
        """Begin, or go on. Errors: TrainingError where what lies there came of another rule or other arms."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = self._read(self._experiment)
        if known is None:
            write_atomic(self._experiment, json.dumps({"digest": experiment.digest, **asdict(experiment)}, indent=1))
        elif known.get("digest") != experiment.digest:
            raise TrainingError(
                f"{self.path} holds results of another version of {experiment.name}: a rule is not changed after the "
                "run. Begin anew: molt lab run --fresh"
            )

    def work(self, arm: str, seed: int) -> RunFolder:
        """Where one training goes on."""
        return RunFolder(self.path / "work" / f"{arm}-{seed}")

    def exam(self) -> Exam | None:
        """The exam that all arms sit; None before the first."""
        values = self._read(self._exam)
        return exam_from(values) if values else None

    def keep_exam(self, exam: Exam) -> None:
        """Every arm is judged by the exam of the first."""
        write_atomic(self._exam, json.dumps(exam.to_dict(), ensure_ascii=False))

    def read(self) -> list[Result]:
        """What is measured so far; a torn last line (a kill while writing) is measured again."""
        try:
            lines = self.results.read_text(encoding="utf-8").splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            try:
                values = json.loads(line)
                found.append(Result(**{**values, "scores": Scores(**values["scores"])}))
            except (ValueError, TypeError, KeyError):
                continue
        return found

    def add(self, result: Result) -> None:
        """Keep one more result."""
        torn = self.results.exists() and not self.results.read_bytes().endswith(b"\n")
        with self.results.open("a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + json.dumps(asdict(result), ensure_ascii=False) + "\n")

    @staticmethod
    def _read(path: Path) -> Mapping[str, Any] | None:
        try:
            values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return values
