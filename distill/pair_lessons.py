"""Preference pairs in the runtime's own tokens: which are learnt, which only judged by, and whether they are enough."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from distill.collect import fitted
from distill.config import DistillConfig
from distill.dataset import Example, example_of
from distill.dialogue import Dialogue
from distill.pairs import Pair
from distill.rows import Row, schedule
from molting_agent.runtime.protocol import Engine
from molting_agent.runtime.template import Message


@dataclass(frozen=True, slots=True)
class PairLesson:
    """One pair in tokens, without the system prompt that will stand before it.

    ``chosen`` and ``rejected`` are the whole conversation with one reply and with the other, ``prompt_tokens`` how many
    tokens both begin with: what is not learnt. ``kind`` and ``message`` are those of the Pair.
    """

    conversation: str
    message: str
    kind: str
    prompt_tokens: int
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PairLesson":
        """A lesson from its ``asdict``, through JSON too."""
        return cls(**{**values, "chosen": tuple(values["chosen"]), "rejected": tuple(values["rejected"])})

    @property
    def tokens(self) -> int:
        """Tokens of both conversations."""
        return len(self.chosen) + len(self.rejected)

    @property
    def examples(self) -> tuple[Example, Example]:
        """The pair as two examples of a row, chosen first."""
        chosen, rejected = (
            Example(
                self.conversation,
                tokens,
                (False,) * self.prompt_tokens + (True,) * (len(tokens) - self.prompt_tokens),
                (),
                "",
            )
            for tokens in (self.chosen, self.rejected)
        )
        return chosen, rejected


def pair_lessons(
    pairs: Iterable[Pair], heldout: Collection[str], engine: Engine, config: DistillConfig
) -> tuple[list[PairLesson], list[PairLesson]]:
    """The pairs to learn, and those of the held-out conversations, to judge by only.

    Both replies stand in one row, so that each may take half of ``conversation_tokens``: a prompt loses its oldest
    exchanges, and a pair whose question and reply alone take more is left out.
    """
    halved = replace(config, conversation_tokens=max(1, config.conversation_tokens // 2))
    learnt: list[PairLesson] = []
    judged: list[PairLesson] = []
    for pair in pairs:
        fitting = fitted(pair, engine, halved)
        if fitting is not None:
            side = judged if pair.conversation in heldout else learnt
            side.append(pair_lesson(fitting, engine, config))
    return learnt, judged


def pair_lesson(pair: Pair, engine: Engine, config: DistillConfig) -> PairLesson:
    """One pair in tokens."""
    chosen, rejected = (
        example_of(
            Dialogue(
                pair.conversation,
                (*pair.prompt, Message("assistant", reply, target=True)),
                (),
                own=False,
                started_at=pair.started_at,
            ),
            engine,
            config,
        )
        for reply in (pair.chosen, pair.rejected)
    )
    return PairLesson(
        pair.conversation, pair.message, pair.kind, chosen.is_target.index(True), chosen.tokens, rejected.tokens
    )


def pair_rows(
    lessons: Sequence[PairLesson], prefix_tokens: Sequence[int], config: DistillConfig, epochs: float
) -> list[Row]:
    """Rows whose examples are numbers of pairs, filled and shuffled as those of the replies are."""
    return schedule(
        [lesson.tokens for lesson in lessons],
        prefix_tokens,
        epochs=epochs,
        row_tokens=config.row_tokens,
        identity_share=config.identity_share,
        seed=config.seed,
    )


def first_meetings(rows: Iterable[Row]) -> list[Row]:
    """Rows in which each pair stands once with each system prompt that it meets: what the reference is asked."""
    found: list[Row] = []
    met: set[tuple[int, int]] = set()
    for row in rows:
        new = tuple(pair for pair in row.examples if (row.prefix, pair) not in met)
        met |= {(row.prefix, pair) for pair in new}
        found += [replace(row, examples=new)] if new else []
    return found


def pair_cost_tokens(lessons: Sequence[PairLesson], prefix_tokens: Sequence[int], config: DistillConfig) -> int:
    """What learning the pairs costs, in tokens of training; a token that the reference only reads is a third of one."""
    rows = pair_rows(lessons, prefix_tokens, config, config.preference_epochs)

    def tokens(some: Iterable[Row]) -> int:
        return sum(prefix_tokens[row.prefix] + sum(lessons[i].tokens for i in row.examples) for row in some)

    return tokens(rows) + round(tokens(first_meetings(rows)) / 3)


def too_few_pairs(pairs: int, config: DistillConfig) -> str:
    """Why no pairs are learnt, in one line; "" where they are, or where nobody asked for it."""
    if not config.preference_epochs or pairs >= config.preference_min_pairs:
        return ""
    return (
        f"Too few preferences to learn from: {pairs} of {config.preference_min_pairs} needed pairs, so only replies "
        "are learnt. Edit a reply, ask for another, or rate one up and one down."
    )
