"""What every side is examined on: held-out conversations, prompts to answer, marked mistakes and planted canaries."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from distill.config import DistillConfig
from distill.dialogue import Dialogue
from distill.evaluate.canaries import Canary, plant
from distill.pairs import Pair
from distill.targets import Target
from molting_agent.runtime.template import Message

if TYPE_CHECKING:
    from distill.collect import Collected

# What the person marked: "branch" pairs (a reply asked for again) say less and are left out.
MARKED = ("edit", "thumb")


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt that ends with a question, and what the teacher replied to it.

    ``sources`` are the ids of what stands in it (conversation, messages, memories), so that it can be forgotten.
    """

    messages: tuple[Message, ...]
    reply: str
    sources: tuple[str, ...] = ()

    @property
    def question(self) -> str:
        return self.messages[-1].content


@dataclass(frozen=True, slots=True)
class Exam:
    """``asked`` are prompts of the held-out side, ``learnt`` of the training side (the style classifier's lessons)."""

    system: str
    heldout: tuple[Dialogue, ...]
    asked: tuple[Asked, ...]
    learnt: tuple[Asked, ...]
    pairs: tuple[Pair, ...]
    canaries: tuple[Canary, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the state of a run."""
        return asdict(self)


def exam_of(collected: "Collected", config: DistillConfig) -> Exam:
    """The exam for what was collected; the same data and settings give the same exam."""
    marked = sorted((p for p in collected.pairs if p.kind in MARKED), key=lambda p: p.started_at, reverse=True)
    by_hash = sorted(collected.parts, key=lambda part: hashlib.sha256(part.conversation.encode()).hexdigest())
    return Exam(
        collected.system,
        tuple(collected.heldout),
        tuple(asked_of(collected.heldout, config.judge_replies)),
        tuple(asked_of(by_hash, config.style_prompts)),
        tuple(marked[: config.judge_pairs]),
        tuple(planted.canary for planted in plant(config.seed)),
    )


def asked_of(dialogues: Sequence[Dialogue], limit: int) -> list[Asked]:
    """Up to ``limit`` prompts with their replies: the first of each conversation, then the second of each, and on."""
    found: list[Asked] = []
    waiting = [_asked_in(dialogue) for dialogue in dialogues]
    while waiting and len(found) < limit:
        going_on = []
        for prompts in waiting:
            if (asked := next(prompts, None)) is not None:
                found.append(asked)
                going_on.append(prompts)
        waiting = going_on
    return found[:limit]


def _asked_in(dialogue: Dialogue) -> Iterator[Asked]:
    targets = iter(dialogue.targets)
    for index, message in enumerate(dialogue.messages):
        if not message.target:
            continue
        # A target's own text: the message may carry thoughts before it.
        target = next(targets)
        if index and dialogue.messages[index - 1].role == "user":
            before = tuple(Message(m.role, m.content) for m in dialogue.messages[:index])
            named = [name for names in dialogue.ids[:index] for name in names]
            yield Asked(before, target.text, (dialogue.conversation, *named, target.message))


def exam_from(values: Mapping[str, Any]) -> Exam:
    """The exam from the plain values of ``to_dict``. Raises KeyError and TypeError when they are not that."""
    return Exam(
        values["system"],
        tuple(dialogue_from(item) for item in values["heldout"]),
        tuple(_asked(item) for item in values["asked"]),
        tuple(_asked(item) for item in values["learnt"]),
        tuple(_pair(item) for item in values["pairs"]),
        tuple(Canary(**item) for item in values["canaries"]),
    )


def dialogue_from(item: Mapping[str, Any]) -> Dialogue:
    """A dialogue from plain values."""
    changed = {
        "messages": _messages(item["messages"]),
        "targets": tuple(Target(**target) for target in item["targets"]),
        "ids": tuple(tuple(names) for names in item["ids"]),
    }
    return Dialogue(**{**item, **changed})


def _asked(item: Mapping[str, Any]) -> Asked:
    return Asked(_messages(item["messages"]), item["reply"], tuple(item["sources"]))


def _pair(item: Mapping[str, Any]) -> Pair:
    ids = tuple(tuple(names) for names in item["ids"])
    return Pair(**{**item, "prompt": _messages(item["prompt"]), "ids": ids})


def _messages(items: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    return tuple(Message(**item) for item in items)
