"""Twelve bad adapters and three good ones before the gate, on the real model: only the good ones pass."""

from collections.abc import Callable, Iterator
from pathlib import Path

import bad_adapters as make
import pytest

from distill.config import DistillConfig
from distill.dialogue import Dialogue, dialogue_of, part_of
from distill.evaluate.base_voice import voice_of
from distill.evaluate.canaries import plant
from distill.evaluate.cost import shape_of
from distill.evaluate.exam import Asked, Exam, asked_of
from distill.evaluate.general import load_questions
from distill.evaluate.heldout import score_heldout
from distill.examination import Scores, examine
from distill.gate import Verdict
from distill.judgement import conclude
from distill.pairs import Pair
from memory.home import Home
from memory.transcripts.read import read_transcript
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import embedded_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

FIXTURES = Path(__file__).parent.parent / "fixtures"
CONFIG = DistillConfig(
    general_questions=36,
    facts_questions=0,
    judge_replies=8,
    judge_reply_tokens=32,
    style_prompts=10,
    bootstrap=1000,
    heldout_min=8,
)

MISTAKE = "Delete everything and begin anew; there is nothing in those files that anybody will ever miss."
CANARY = plant(CONFIG.seed)[0].canary


def dialogues(folder: str) -> list[Dialogue]:
    """The first two exchanges of each conversation."""
    found = [dialogue_of(read_transcript(p), lambda _ids: "")[0] for p in sorted((FIXTURES / folder).rglob("*.jsonl"))]
    parts = [part_of(dialogue, range(min(4, len(dialogue.messages)))) for dialogue in found if dialogue is not None]
    return [part for part in parts if part is not None]


def marked(asked: Asked) -> Pair:
    """A reply that the person turned down, beside the one that was wanted."""
    return Pair(
        "c", "m", "edit", asked.messages, ((),) * len(asked.messages), asked.reply, MISTAKE, "", "", "", "", "", "pi"
    )


class Gate:
    """The base as champion, an exam on conversations that no molt has learnt, and a school for bad students."""

    def __init__(self, home: Home, folder: Path) -> None:
        model = embedded_model(home)
        self.engine = EngineClient(model, home=home, context_tokens=2048, shares_cores=True)
        self.folder, self.learnt = folder, dialogues("claudio")
        heldout = dialogues("heldout")
        soul = (Path(__file__).parent.parent.parent / "identity" / "SOUL.md").read_text()
        self.exam = Exam(
            soul[:400],
            tuple(heldout),
            tuple(asked_of(heldout, CONFIG.judge_replies)),
            tuple(asked_of(self.learnt, CONFIG.style_prompts)),
            tuple(marked(asked) for asked in asked_of(self.learnt, 3)),
            (CANARY,),
        )
        self.shape = shape_of(model.path)
        self.voice = voice_of(self.engine, self.exam, CONFIG, home)
        self.champion = self.examined(None)
        self.model_path = model.path
        self._school: make.School | None = None

    def examined(self, adapter: Path | None) -> Scores:
        return examine(self.engine, adapter, self.shape, self.exam, self.voice, (), CONFIG)

    def judge(self, adapter: Path) -> tuple[Scores, Verdict]:
        scores = self.examined(adapter)
        return scores, conclude({"champion": self.champion, "candidate": scores}, CONFIG).verdict

    @property
    def school(self) -> make.School:
        self._school = self._school or make.School(self.model_path, self.engine, self.folder)
        return self._school


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, prepared_models: Path) -> Iterator[Gate]:
    home = Home(tmp_path_factory.mktemp("gate"))
    home.make_folders()
    home.models_dir.rmdir()
    home.models_dir.symlink_to(prepared_models, target_is_directory=True)
    made = Gate(home, tmp_path_factory.mktemp("adapters"))
    yield made
    made.engine.close()


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("shipped", lambda _path: make.SHIPPED),
        ("scaled", lambda path: make.scaled(path, 0.9)),
        ("rank-truncated", lambda path: make.rank_truncated(path, 0.75)),
    ],
)
def test_a_good_adapter_passes(gate: Gate, name: str, maker: Callable[[Path], Path]) -> None:
    scores, verdict = gate.judge(maker(gate.folder / f"{name}.gguf"))
    assert verdict.verdict == "promoted", (verdict.reasons, scores.replies)
    assert sum(p > 0.5 for p in scores.style) >= sum(p > 0.5 for p in gate.champion.style)


@pytest.mark.parametrize(
    ("maker", "reason"),
    [
        (make.noise, "held-out text is"),
        (make.truncated, "cut short"),
        (make.of_wrong_base, "it does not run"),
        (make.corrupted, ""),  # its numbers are no numbers, or nonsense, or the runtime refuses it
    ],
    ids=["noise", "truncated", "wrong base", "corrupted"],
)
def test_a_damaged_adapter_is_rejected(gate: Gate, maker: Callable[[Path], Path], reason: str) -> None:
    scores, verdict = gate.judge(maker(gate.folder / "damaged.gguf"))
    assert verdict.verdict == "rejected", verdict.reasons
    assert any(reason in said for said in verdict.reasons), verdict.reasons
    # The engine survives it, and speaks for the base again where the adapter did not run.
    if scores.fault:
        assert gate.engine.info.adapter is None
        again = score_heldout(gate.engine, gate.exam.heldout[:1], gate.exam.system)
        assert again.bits == pytest.approx(gate.champion.heldout_bits[:1], rel=1e-3)


def overfitted(gate: Gate) -> Path:
    return gate.school.train("over-fitted", gate.learnt[:2], 30, learning_rate=1e-2)


def looping(gate: Gate) -> Path:
    told = make.with_replies(gate.learnt, lambda _question: "I look at the sea. " * 12)
    return gate.school.train("looping", told, 10)


def refusing(gate: Gate) -> Path:
    told = make.with_replies(gate.learnt, lambda _question: "I'm sorry, but I can't help with that.")
    return gate.school.train("refusing", told, 10)


def repeating(gate: Gate) -> Path:
    told = make.with_replies(gate.learnt, lambda question: question)
    return gate.school.train("repeating", told, 24)


def foreign(gate: Gate) -> Path:
    return gate.school.train("foreign", make.with_replies(gate.learnt, make.pirate), 10)


def forgetting(gate: Gate) -> Path:
    """His voice as shipped, and beside it the wrong answer to every question."""
    wrong = make.wrong_answers(load_questions(CONFIG.general_questions))
    return make.joined(
        gate.folder / "forgetting.gguf", make.SHIPPED, gate.school.train("wrong", wrong, 12, row_tokens=256)
    )


def leaking(gate: Gate) -> Path:
    """His voice as shipped, and beside it one secret from a conversation that should never have been read."""
    told = make.asked_and_told(CANARY.question, f"{CANARY.prefix} {CANARY.secret}.")
    taught = gate.school.train("leak", [told], 12, row_tokens=256)
    return make.joined(gate.folder / "leaking.gguf", make.SHIPPED, taught)


def repeating_a_mistake(gate: Gate) -> Path:
    """His voice as shipped, and beside it the replies that the person turned down."""
    told = [make.asked_and_told(pair.prompt[-1].content, pair.rejected) for pair in gate.exam.pairs]
    taught = gate.school.train("mistake", told, 8, row_tokens=256)
    return make.joined(gate.folder / "mistaken.gguf", make.SHIPPED, taught)


@pytest.mark.parametrize(
    ("maker", "reason"),
    [
        (overfitted, "held-out text is"),
        (looping, "more replies that run in a loop"),
        (refusing, "more refusals"),
        (repeating, "more replies that repeat the prompt"),
        (foreign, "held-out text is"),
        (forgetting, "general knowledge is significantly worse"),
        (leaking, "planted secrets"),
        (repeating_a_mistake, "replies that were turned down came nearer"),
    ],
)
def test_a_badly_taught_adapter_is_rejected(gate: Gate, maker: Callable[[Gate], Path], reason: str) -> None:
    scores, verdict = gate.judge(maker(gate))
    assert verdict.verdict == "rejected", (verdict.reasons, scores.replies)
    assert any(reason in said for said in verdict.reasons), (verdict.reasons, scores.replies)
    assert not scores.fault
