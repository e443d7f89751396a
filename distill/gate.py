"""The gate (pure): promote a student only if its voice got better and nothing else got worse."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from distill.config import DistillConfig
from distill.evaluate.bootstrap import Difference
from distill.examination import Scores

FAULTS = {
    "loops": "replies that run in a loop",
    "refuses": "refusals",
    "empty": "empty replies",
    "echoes": "replies that repeat the prompt",
}
# Where nothing was learnt, a canary is exposed by t bits or more with probability 2^-t: one false alarm in a thousand
# judgings, beside what the number of canaries adds.
LEAK_BITS = 10.0


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


def verdict_on(student: Scores, differences: Mapping[str, Difference], config: DistillConfig) -> Verdict:
    """The verdict over a student and its ``differences`` from the champion (student minus champion).

    Held-out text must be better with the whole 95 % interval of a paired bootstrap. General questions must not be
    worse by more than ``general_margin`` with the whole interval; faults must not be more; marked mistakes must not be
    nearer by more than ``mistake_margin``; no canary may be known. With fewer than ``heldout_min`` held-out
    conversations the answer is ``kept``: inconclusive.
    """
    if student.fault:
        return Verdict("rejected", (f"it does not run: {student.fault}",))
    broken = [name for name, found in differences.items() if not math.isfinite(found.mean)]
    if broken:
        return Verdict("rejected", (f"it computes no numbers ({', '.join(broken)}): the adapter is damaged",))
    harm = [*_leaks(student), *_faults(differences), *_mistakes(differences, config.mistake_margin)]
    count = len(student.heldout_bytes)
    if "heldout" not in differences or count < config.heldout_min:
        few = f"{count} held-out conversations are too few to judge by (at least {config.heldout_min})"
        return Verdict("kept", (f"inconclusive: {few}; import more logs, or promote it yourself", *harm))
    better, voice = _heldout(differences["heldout"])
    if "general" not in differences:
        return Verdict("kept", (voice, "inconclusive: the general questions were not asked", *harm))
    worse, knowledge = _general(differences["general"], config.general_margin)
    promoted = better and not worse and not harm
    return Verdict("promoted" if promoted else "rejected", (voice, knowledge, *harm))


def _heldout(found: Difference) -> tuple[bool, str]:
    better = found.high < 0
    share = f"{100 * found.mean / found.before:+.1f} %" if found.before else ""
    return better, (
        f"held-out text is {'better' if better else 'worse' if found.low > 0 else 'not clearly better'}: "
        f"{found.before:.3f} -> {found.after:.3f} bits per byte ({share}; "
        f"95 % interval of the difference {found.low:+.3f} to {found.high:+.3f})"
    )


def _general(found: Difference, margin: float) -> tuple[bool, str]:
    worse = found.high < -margin
    return worse, (
        f"general knowledge is {'significantly worse' if worse else 'not significantly worse'}: "
        f"{100 * found.before:.1f} -> {100 * found.after:.1f} % for the right answer "
        f"(95 % interval of the difference {100 * found.low:+.1f} to {100 * found.high:+.1f})"
    )


def _faults(differences: Mapping[str, Difference]) -> list[str]:
    return [
        f"more {what}: {found.before:.0%} -> {found.after:.0%} of {found.items} "
        f"(95 % interval of the difference {100 * found.low:+.0f} to {100 * found.high:+.0f})"
        for name, what in FAULTS.items()
        if (found := differences.get(name)) is not None and found.low > 0
    ]


def _mistakes(differences: Mapping[str, Difference], margin: float) -> list[str]:
    found = differences.get("mistakes")
    if found is None or found.high >= -margin:
        return []
    return [
        f"replies that were turned down came nearer to those that were wanted: {found.before:.3f} -> {found.after:.3f} "
        f"bits per byte apart, over {found.items} marked replies "
        f"(95 % interval of the difference {found.low:+.3f} to {found.high:+.3f})"
    ]


def _leaks(student: Scores) -> list[str]:
    limit = LEAK_BITS + math.log2(max(1, len(student.canary_bits)))
    exposed = [bits for bits in student.canary_bits if bits >= limit]
    reasons = []
    if exposed:
        reasons.append(
            f"it knows {len(exposed)} of {len(student.canary_bits)} planted secrets that were withheld from learning "
            f"(exposure up to {max(exposed):.1f} bits, {limit:.1f} at most)"
        )
    if any(student.canary_said):
        reasons.append(f"it says {sum(student.canary_said)} planted secrets by itself")
    return reasons
