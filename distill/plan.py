"""What a retraining will do: data and steps fitted into the time, and what is left out said."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from distill.config import DistillConfig
from distill.dataset import Example
from distill.rows import Row, schedule

Key = tuple[str, str, str]
# Loading torch and the student, writing the adapter.
FIXED_S = 40.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Counts, and seconds as estimated. ``left_out`` says how much of what was not used, by reason."""

    conversations: int
    targets: int
    new_targets: int
    needed_new: int
    heldout: int
    target_tokens: int
    rows: int
    row_tokens: int
    epochs: float
    tokens_per_s: float
    train_s: float
    judge_s: float
    left_out: Mapping[str, int] = field(default_factory=dict)
    lessons: int = 0
    explained: int = 0
    students: int = 1
    pairs: int = 0
    notes: tuple[str, ...] = ()

    @property
    def total_s(self) -> float:
        return self.students * (self.train_s + FIXED_S) + self.judge_s

    @property
    def missing(self) -> int:
        """New replies that are still needed before a retraining makes sense."""
        return max(0, self.needed_new - self.new_targets)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "left_out": dict(self.left_out), "total_s": self.total_s, "missing": self.missing}

    def text(self) -> str:
        """The plan for a person."""
        lines = [
            f"Learn from {self.targets} replies in {self.conversations} conversations "
            f"({self.new_targets} of them new), judge on {self.heldout} held-out conversations.",
            f"{self.epochs:.2g} epochs, {self.rows} steps, {self.row_tokens} tokens at {self.tokens_per_s:.0f}/s: "
            f"{minutes(self.train_s)} of training, about {minutes(self.total_s)} in all.",
        ]
        if self.lessons or self.explained:
            lines.append(f"Beside them {self.lessons} lessons in reading memories and {self.explained} rationales.")
        if self.students > 1:
            lines.append("Its hard-label twin is trained too, in the same time again; the better one is the candidate.")
        if self.pairs:
            lines.append(f"Then from {self.pairs} preference pairs.")
        lines += self.notes
        if self.missing:
            lines.append(too_little(self))
        lines += [f"Left out: {count} ({reason})." for reason, count in self.left_out.items()]
        return "\n".join(lines)


def minutes(seconds: float) -> str:
    """Seconds as a person says them."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def too_little(plan: Plan) -> str:
    """One line: how much is missing and what to do."""
    return (
        f"Too little to learn from: {plan.new_targets} of {plan.needed_new} needed new replies, "
        f"{plan.missing} missing. Rate a reply up or edit one, or import logs: molt ingest PATH"
    )


def fit(
    examples: Sequence[Example],
    prefix_tokens: Sequence[int],
    config: DistillConfig,
    *,
    tokens_per_s: float,
    learnt: set[Key],
    heldout: int,
    judge_s: float,
    left_out: Mapping[str, int],
    minutes_given: float | None = None,
    extras: Sequence[Example] = (),
    students: int = 1,
) -> tuple[Plan, list[Example], list[Row]]:
    """The plan, the examples it uses and the rows in order.

    What does not fit into the time goes in this order: epochs beyond the first, then old examples (their replies are
    all learnt by the champion), then new ones, the oldest first in each. ``extras`` (lessons beside the conversations)
    shrink in proportion. ``students`` are trained one after the other, two where there is a hard-label twin.
    """
    budget_s = float("inf")
    if minutes_given is not None:
        budget_s = max(0.0, (minutes_given * 60 - judge_s) / students - FIXED_S)
    reasons = {reason: count for reason, count in left_out.items() if count}
    ranked = sorted(examples, key=lambda example: (_is_new(example, learnt), example.started_at), reverse=True)
    used, epochs = [*ranked, *extras], config.epochs
    rows = _rows(used, prefix_tokens, config, epochs)
    wished_rows = len(rows)
    cost_s = _tokens(rows, used, prefix_tokens) / tokens_per_s
    if cost_s > budget_s:
        share = budget_s / cost_s
        once = min(1.0, config.epochs)
        epochs = max(once, config.epochs * share)
        if config.epochs * share < once:
            ranked = _newest_that_fit(ranked, share * config.epochs / once)
            used = [*ranked, *extras[: round(len(extras) * len(ranked) / len(examples))]]
        rows = _rows(used, prefix_tokens, config, epochs)
        while len(rows) > 1 and _tokens(rows, used, prefix_tokens) / tokens_per_s > budget_s:
            rows.pop()
        seen = {index for row in rows for index in row.examples}
        learning = {id(used[index]) for index in seen}
        unused = sum(len(example.targets) for example in examples if id(example) not in learning)
        if unused:
            reasons["replies that do not fit into the time"] = unused
        if len(rows) < wished_rows:
            reasons["steps that do not fit into the time"] = wished_rows - len(rows)
    total = _tokens(rows, used, prefix_tokens)
    seen_examples = [used[index] for index in sorted({index for row in rows for index in row.examples})]
    targets = [target for example in seen_examples for target in example.targets]
    plan = Plan(
        conversations=len({example.conversation for example in seen_examples if example.targets}),
        targets=len(targets),
        new_targets=sum(target.key not in learnt for target in targets),
        needed_new=config.min_new,
        heldout=heldout,
        target_tokens=sum(example.target_tokens for example in seen_examples),
        rows=len(rows),
        row_tokens=total,
        epochs=epochs,
        tokens_per_s=tokens_per_s,
        train_s=total / tokens_per_s,
        judge_s=judge_s,
        left_out=reasons,
        lessons=sum(example.task == "read" for example in seen_examples),
        explained=sum(example.task == "explain" for example in seen_examples),
        students=students,
    )
    return plan, used, rows


def _is_new(example: Example, learnt: set[Key]) -> bool:
    return any(target.key not in learnt for target in example.targets)


def _newest_that_fit(ranked: Sequence[Example], share: float) -> list[Example]:
    """The first examples, up to a share of all tokens; at least one."""
    room = share * sum(len(example.tokens) for example in ranked)
    used: list[Example] = []
    for example in ranked:
        if used and room < len(example.tokens):
            break
        used.append(example)
        room -= len(example.tokens)
    return used


def _rows(examples: Sequence[Example], prefix_tokens: Sequence[int], config: DistillConfig, epochs: float) -> list[Row]:
    return schedule(
        [len(example.tokens) for example in examples],
        prefix_tokens,
        epochs=epochs,
        row_tokens=config.row_tokens,
        identity_share=config.identity_share,
        seed=config.seed,
        only_in=[example.epoch for example in examples],
    )


def _tokens(rows: Sequence[Row], examples: Sequence[Example], prefix_tokens: Sequence[int]) -> int:
    return sum(prefix_tokens[row.prefix] + sum(len(examples[index].tokens) for index in row.examples) for row in rows)
