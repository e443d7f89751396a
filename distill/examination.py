"""One side of a comparison examined as it will run, all that is measured of it; finished scores survive a kill."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from distill.config import DistillConfig
from distill.evaluate.canaries import score_canaries
from distill.evaluate.cost import Shape, adapter_parameters, flops_per_token
from distill.evaluate.exam import Exam
from distill.evaluate.facts import Item, load_facts, score_both
from distill.evaluate.faults import faults_of
from distill.evaluate.general import load_questions, score_general
from distill.evaluate.heldout import score_heldout
from distill.evaluate.mistakes import score_mistakes
from distill.evaluate.overlap import chrf, token_f1
from distill.evaluate.replies import answer, answer_all
from distill.evaluate.style import Voice
from memory.errors import EngineError, ModelError
from memory.files import write_atomic
from molting_agent.runtime.protocol import Engine
from molting_agent.runtime.template import Message

SAMPLE_QUESTIONS = (
    "Who are you?",
    "I slept badly and the meeting is at nine. What now?",
    "What would you never do for me, even if I asked?",
)
SAMPLE_TOKENS = 80


@dataclass(frozen=True, slots=True)
class Scores:
    """One side's measurements; each list has one value a conversation, question, prompt or pair, in a fixed order.

    ``fault`` says why the side could not be examined (a damaged file, another base); everything else is then empty.
    ``style`` and ``teacher_style`` are the probabilities that the side's replies, and the logged ones to the same
    prompts, are the teacher's. ``facts`` are the right ones with recall, ``facts_alone`` without it; ``facts_held`` is
    true where recall showed the line. Right ones and faults are 0 or 1. Times are medians over the replies.
    """

    fault: str = ""
    heldout_bits: list[float] = field(default_factory=list)
    heldout_short_bits: list[float] = field(default_factory=list)
    heldout_bytes: list[int] = field(default_factory=list)
    general: list[float] = field(default_factory=list)
    general_right: list[bool] = field(default_factory=list)
    facts: list[float] = field(default_factory=list)
    facts_held: list[bool] = field(default_factory=list)
    facts_alone: list[float] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    style: list[float] = field(default_factory=list)
    teacher_style: list[float] = field(default_factory=list)
    chrf: list[float] = field(default_factory=list)
    token_f1: list[float] = field(default_factory=list)
    loops: list[float] = field(default_factory=list)
    refuses: list[float] = field(default_factory=list)
    empty: list[float] = field(default_factory=list)
    echoes: list[float] = field(default_factory=list)
    mistakes: list[float] = field(default_factory=list)
    canary_bits: list[float] = field(default_factory=list)
    canary_said: list[bool] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    first_token_s: float = 0.0
    decode_tokens_per_s: float = 0.0
    parameters: int = 0
    adapter_parameters: int = 0
    bytes: int = 0
    adapter_bytes: int = 0
    flops_per_token: int = 0


def items_of(exam: Exam, config: DistillConfig) -> int:
    """How many items one side's examination has, for progress and plans."""
    questions = len(load_questions(config.general_questions)) + 2 * min(config.facts_questions, len(load_facts()))
    rest = len(exam.asked) + len(exam.pairs) + len(exam.canaries) + len(SAMPLE_QUESTIONS)
    return 2 * len(exam.heldout) + questions + rest


def examine(
    engine: Engine,
    adapter: Path | None,
    shape: Shape,
    exam: Exam,
    voice: Voice | None,
    facts: Sequence[Item],
    config: DistillConfig,
    on_item: Callable[[], None] = lambda: None,
) -> Scores:
    """Swap to ``adapter`` (None: the model alone) and examine it; ``shape`` is of the engine's model file.

    A side that the runtime refuses, or that breaks it, gets scores that say so (``fault``); the engine then speaks for
    the model alone. ``voice`` is None where there was nothing to fit it on.
    """
    try:
        engine.swap(adapter)
        return _scores(engine, adapter, shape, exam, voice, facts, config, on_item)
    except (EngineError, ModelError) as error:
        if adapter is None:
            raise
        engine.swap(None)
        return Scores(fault=str(error))


def _scores(
    engine: Engine,
    adapter: Path | None,
    shape: Shape,
    exam: Exam,
    voice: Voice | None,
    facts: Sequence[Item],
    config: DistillConfig,
    on_item: Callable[[], None],
) -> Scores:
    # What shares the identity as its prompt comes together: its state is evaluated once.
    full = score_heldout(engine, exam.heldout, exam.system, on_item=on_item)
    replies = answer_all(engine, exam.asked, exam.system, max_tokens=config.judge_reply_tokens, on_item=on_item)
    samples = []
    for question in SAMPLE_QUESTIONS:
        samples.append(answer(engine, [Message("user", question)], exam.system, max_tokens=SAMPLE_TOKENS))
        on_item()
    short = score_heldout(engine, exam.heldout, config.short_system, on_item=on_item)
    general = score_general(engine, load_questions(config.general_questions), config.short_system, on_item=on_item)
    known, alone = score_both(engine, facts, on_item=on_item)
    mistakes = score_mistakes(engine, exam.pairs, config.short_system, on_item=on_item)
    exposed = score_canaries(engine, exam.canaries, config.short_system, on_item=on_item)
    said, wanted = [reply.text for reply in replies], [asked.reply for asked in exam.asked]
    faults = [faults_of(text, asked.question, exam.system) for text, asked in zip(said, exam.asked, strict=True)]
    spoken = [reply for reply in (*replies, *samples) if reply.tokens_per_s]
    lora = adapter_parameters(adapter) if adapter else 0
    return Scores(
        heldout_bits=list(full.bits),
        heldout_short_bits=list(short.bits),
        heldout_bytes=list(full.bytes),
        general=list(general.right_probability),
        general_right=list(general.right),
        facts=[float(reply.right) for reply in known.answers],
        facts_held=[reply.item.held for reply in known.answers],
        facts_alone=[float(reply.right) for reply in alone.answers],
        replies=said,
        references=wanted,
        style=voice.probabilities(said) if voice else [],
        teacher_style=voice.probabilities(wanted) if voice else [],
        chrf=[chrf(text, reference) for text, reference in zip(said, wanted, strict=True)],
        token_f1=[token_f1(text, reference) for text, reference in zip(said, wanted, strict=True)],
        loops=[float(fault.loops) for fault in faults],
        refuses=[float(fault.refuses) for fault in faults],
        empty=[float(fault.empty) for fault in faults],
        echoes=[float(fault.echoes) for fault in faults],
        mistakes=mistakes,
        canary_bits=[item.bits for item in exposed],
        canary_said=[item.said for item in exposed],
        samples=[sample.text for sample in samples],
        first_token_s=statistics.median(reply.prompt_s for reply in (*replies, *samples)),
        decode_tokens_per_s=statistics.median(reply.tokens_per_s for reply in spoken) if spoken else 0.0,
        parameters=shape.parameters,
        adapter_parameters=lora,
        bytes=shape.bytes,
        adapter_bytes=adapter.stat().st_size if adapter else 0,
        flops_per_token=flops_per_token(shape, lora),
    )


class ScoreFile:
    """Scores by the side's sha256 ("" is the base), kept so that a resumed run does not examine twice."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, sha256: str) -> Scores | None:
        values = self._read().get(sha256 or "base")
        return Scores(**values) if values else None

    def put(self, sha256: str, scores: Scores) -> None:
        write_atomic(self.path, json.dumps({**self._read(), (sha256 or "base"): asdict(scores)}))

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def better(scores: Mapping[str, Scores], students: Sequence[str]) -> str:
    """The student whose held-out replies cost fewer bits; one that runs before one that does not, then the first."""

    def bits(name: str) -> float:
        found = scores[name]
        total = sum(found.heldout_bits)
        return float("inf") if found.fault or total != total else total  # noqa: PLR0124 - NaN is not itself

    return min(students, key=bits)
