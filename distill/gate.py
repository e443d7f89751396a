"""The gate (pure): promote a candidate only if its voice got better and what it knows in general did not get worse."""

from dataclasses import asdict, dataclass
from typing import Any

from distill.evaluate.bootstrap import Difference


@dataclass(frozen=True, slots=True)
class Verdict:
    """``verdict`` is ``promoted``, ``rejected`` or ``kept`` (nothing could be decided); ``reasons`` are sentences."""

    verdict: str
    reasons: tuple[str, ...]

    @property
    def promoted(self) -> bool:
        return self.verdict == "promoted"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(
    heldout: Difference | None,
    general: Difference | None,
    *,
    heldout_conversations: int,
    heldout_min: int,
    general_margin: float = 0.0,
) -> Verdict:
    """The verdict over candidate minus champion.

    ``heldout`` is in bits per byte (lower is better), ``general`` in probability of the right answer (higher is
    better), both with the 95 % interval of a paired bootstrap; None means it was not measured. Held-out text must be
    better with its whole interval; general must not be worse by more than ``general_margin`` with its whole interval.
    """
    if heldout is None or heldout_conversations < heldout_min:
        few = f"{heldout_conversations} held-out conversations are too few to judge by (at least {heldout_min})"
        return Verdict("kept", (f"inconclusive: {few}; import more logs, or promote it yourself",))
    reasons: list[str] = []
    better = heldout.high < 0
    share = f"{100 * heldout.mean / heldout.before:+.1f} %" if heldout.before else ""
    reasons.append(
        f"held-out text is {'better' if better else 'worse' if heldout.low > 0 else 'not clearly better'}: "
        f"{heldout.before:.3f} -> {heldout.after:.3f} bits per byte ({share}; "
        f"95 % interval of the difference {heldout.low:+.3f} to {heldout.high:+.3f})"
    )
    if general is None:
        return Verdict("kept", (*reasons, "inconclusive: the general questions were not asked"))
    worse = general.high < -general_margin
    reasons.append(
        f"general knowledge is {'significantly worse' if worse else 'not significantly worse'}: "
        f"{100 * general.before:.1f} -> {100 * general.after:.1f} % for the right answer "
        f"(95 % interval of the difference {100 * general.low:+.1f} to {100 * general.high:+.1f})"
    )
    return Verdict("promoted" if better and not worse else "rejected", tuple(reasons))
