"""What a collection would cost, before anything is asked: prompts, tokens, and dollars where prices are known."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from distill.teachers.collect import Tally, most_tokens, usd
from distill.teachers.protocol import Prompt, Traits
from distill.teachers.replies import Replies


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one teacher. Tokens are counted with the embedded model's tokenizer: other models count otherwise.

    ``tokens_out_likely`` is the mean of ``basis`` times the prompts, ``tokens_out_most`` what the limit allows; repairs
    of unreadable answers come on top. ``prompts_in_budget`` is how many certainly fit into the budget. ``usd_*`` are 0
    where the config gives no prices.
    """

    teacher: str
    model: str
    prompts: int
    tokens_in: int
    tokens_out_likely: int
    tokens_out_most: int
    basis: str
    prompts_in_budget: int
    usd_likely: float
    usd_most: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def text(self, tally: Tally) -> str:
        """For a person, with what the tally says of questions that are not asked."""
        lines = [
            f"{self.teacher} ({self.model})",
            f"  to ask      {self.prompts:,} of {tally.questions:,} questions ({tally.known:,} answered before)",
        ]
        lines += [f"  never asked {count:,}: {reason}" for reason, count in tally.left_out.most_common()]
        lines += [
            f"  tokens in   {self.tokens_in:,} (estimate, with the embedded tokenizer)",
            f"  tokens out  {self.tokens_out_likely:,} likely ({self.basis}), {self.tokens_out_most:,} at most",
        ]
        if self.prompts_in_budget < self.prompts:
            lines.append(f"  budget      holds {self.prompts_in_budget:,} of them for certain")
        if self.usd_most:
            lines.append(f"  dollars     {self.usd_likely:,.2f} likely, {self.usd_most:,.2f} at most")
        return "\n".join(lines)


def estimate(
    prompts: Sequence[Prompt],
    traits: Traits,
    store: Replies,
    count_tokens: Callable[[str], int],
    budget_tokens: int = 0,
) -> Estimate:
    """What these prompts would cost with this teacher."""
    tokens_in = sum(prompt.tokens for prompt in prompts) if traits.costs_tokens else 0
    each, basis = _likely_reply(prompts, traits, store, count_tokens)
    likely = round(each * len(prompts))
    most = traits.reply_tokens * len(prompts)
    return Estimate(
        teacher=traits.name,
        model=traits.model,
        prompts=len(prompts),
        tokens_in=tokens_in,
        tokens_out_likely=likely,
        tokens_out_most=most,
        basis=basis,
        prompts_in_budget=_within(prompts, traits, budget_tokens),
        usd_likely=usd(traits, tokens_in, likely),
        usd_most=usd(traits, tokens_in, most),
    )


def _likely_reply(
    prompts: Sequence[Prompt], traits: Traits, store: Replies, count_tokens: Callable[[str], int]
) -> tuple[float, str]:
    """Tokens of a typical answer and where that figure comes from."""
    if not traits.costs_tokens:
        return 0.0, "the logs cost nothing"
    stored = [reply.tokens_out for reply in store]
    if stored:
        return sum(stored) / len(stored), f"the mean of {len(stored):,} answers it gave"
    logged = [p.question.logged for p in prompts if p.question.logged]
    if logged:
        lengths = [min(count_tokens(reply), traits.reply_tokens) for reply, _rationale in logged]
        return sum(lengths) / len(lengths), f"the mean of {len(lengths):,} logged replies, without rationales"
    return float(traits.reply_tokens), "its limit, as nothing is known yet"


def _within(prompts: Sequence[Prompt], traits: Traits, budget_tokens: int) -> int:
    if not budget_tokens:
        return len(prompts)
    used = 0
    for index, prompt in enumerate(prompts):
        used += most_tokens(traits, prompt)
        if used > budget_tokens:
            return index
    return len(prompts)
