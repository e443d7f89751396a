"""Champion and candidate scored as they will run, and their differences; finished scores survive a kill."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distill.config import DistillConfig
from distill.dataset import Dialogue
from distill.evaluate.bootstrap import Difference, interval, paired_difference
from distill.evaluate.general import load_questions, score_general
from distill.evaluate.heldout import score_heldout
from memory.files import write_atomic
from molting_agent.runtime.protocol import Delta, Done, Engine, Sampling
from molting_agent.runtime.template import Message, render

SAMPLE_QUESTIONS = ("Who are you?", "I slept badly and the meeting is at nine. What now?")
SAMPLE_TOKENS = 80


@dataclass(frozen=True, slots=True)
class Scores:
    """One model's measurements; each list has one value a conversation or question, in a fixed order."""

    heldout_bits: list[float]
    heldout_short_bits: list[float]
    heldout_bytes: list[int]
    general: list[float]
    general_right: list[bool]
    samples: list[str]
    decode_tokens_per_s: float


def score_model(
    engine: Engine,
    adapter: Path | None,
    heldout: Sequence[Dialogue],
    system: str,
    config: DistillConfig,
    on_item: Callable[[], None],
) -> Scores:
    """Swap to ``adapter`` (None: the base) and measure it: held-out under both prompts, general questions, samples."""
    engine.swap(adapter)
    full = score_heldout(engine, heldout, system, on_item=on_item)
    short = score_heldout(engine, heldout, config.short_system, on_item=on_item)
    general = score_general(engine, load_questions(config.general_questions), config.short_system, on_item=on_item)
    samples, speeds = [], []
    for question in SAMPLE_QUESTIONS:
        text, speed = _sample(engine, system, question)
        samples.append(text)
        speeds.append(speed)
        on_item()
    return Scores(
        list(full.bits),
        list(short.bits),
        list(full.bytes),
        list(general.right_probability),
        list(general.right),
        samples,
        max(speeds),
    )


def items_of(heldout: int, questions: int) -> int:
    """How many items one model's scoring has, for progress."""
    return 2 * heldout + questions + len(SAMPLE_QUESTIONS)


def _sample(engine: Engine, system: str, question: str) -> tuple[str, float]:
    info = engine.info
    messages = [Message("system", system), Message("user", question)]
    segments = render(info.chat_template, messages, end_tokens=info.end_tokens, bos_token=info.bos_token)
    text, speed = "", 0.0
    sampling = Sampling(temperature=0.0)
    for event in engine.generate(segments, max_tokens=SAMPLE_TOKENS, sampling=sampling):
        if isinstance(event, Delta):
            text += event.text
        elif isinstance(event, Done):
            speed = event.tokens_per_s
    return text.strip(), speed


class ScoreFile:
    """Scores by adapter sha256 ("" is the base), kept so that a resumed run does not score twice."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, adapter_sha256: str) -> Scores | None:
        values = self._read().get(adapter_sha256 or "base")
        return Scores(**values) if values else None

    def put(self, adapter_sha256: str, scores: Scores) -> None:
        write_atomic(self.path, json.dumps({**self._read(), (adapter_sha256 or "base"): asdict(scores)}))

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def better(scores: dict[str, Scores], students: Sequence[str]) -> str:
    """The student whose held-out replies cost fewer bits; the first where nothing was held out."""
    return min(students, key=lambda name: sum(scores[name].heldout_bits))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate minus champion; None where there was nothing held out."""

    heldout: Difference | None
    heldout_short: Difference | None
    general: Difference
    champion_intervals: dict[str, tuple[float, float]]
    candidate_intervals: dict[str, tuple[float, float]]


def compare(champion: Scores, candidate: Scores, config: DistillConfig) -> Comparison:
    """Paired differences with intervals, and each score's own interval."""
    settings = {"resamplings": config.bootstrap, "seed": config.seed}
    sizes = [float(size) for size in candidate.heldout_bytes]
    ones = [1.0] * len(candidate.general)
    heldout = short = None
    if sizes:
        heldout = paired_difference(champion.heldout_bits, candidate.heldout_bits, sizes, **settings)
        short = paired_difference(champion.heldout_short_bits, candidate.heldout_short_bits, sizes, **settings)

    def intervals(scores: Scores) -> dict[str, tuple[float, float]]:
        found = {"general": interval(scores.general, ones, **settings)}
        if sizes:
            found["heldout"] = interval(scores.heldout_bits, sizes, **settings)
            found["heldout_short"] = interval(scores.heldout_short_bits, sizes, **settings)
        return found

    general = paired_difference(champion.general, candidate.general, ones, **settings)
    return Comparison(heldout, short, general, intervals(champion), intervals(candidate))
