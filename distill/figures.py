"""How each measured figure is named and written for a person: one table for a report and for ``distill evaluate``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill.evaluate.bootstrap import Difference
from distill.examination import Scores
from distill.judgement import Estimate


@dataclass(frozen=True, slots=True)
class Figure:
    """``label`` for a person, factor and decimals it is written with; ``relative``: differences in per cent as well."""

    label: str
    scale: float = 1.0
    digits: int = 3
    relative: bool = False


FIGURES: Mapping[str, Figure] = {
    "heldout": Figure("held-out bits per byte, full identity as prompt (lower is better)", relative=True),
    "heldout_short": Figure("held-out bits per byte, short prompt", relative=True),
    "general": Figure("right answer to {general} general questions, probability in %", 100, 1),
    "general_right": Figure("of these the likeliest answer is right, %", 100, 1),
    "facts": Figure("facts exam, {facts} questions, recall on: right, %", 100, 1),
    "facts_held": Figure("of these where recall shows the line, %", 100, 1),
    "facts_alone": Figure("recall off: right, %", 100, 1),
    "passes": Figure("style: of {replies} replies pass for the teacher's, %", 100, 0),
    "auc": Figure("style: ROC-AUC, teacher against student (0.5: indistinguishable)", 1, 2),
    "bleu": Figure("BLEU against the logged replies", 1, 1),
    "chrf": Figure("chrF against the logged replies", 1, 1),
    "token_f1": Figure("token F1 against the logged replies, %", 100, 1),
    "loops": Figure("replies that run in a loop, %", 100, 0),
    "refuses": Figure("refusals, %", 100, 0),
    "empty": Figure("empty replies, %", 100, 0),
    "echoes": Figure("replies that repeat the prompt, %", 100, 0),
    "mistakes": Figure("{mistakes} marked mistakes: bits per byte behind the wanted reply"),
}


def table(
    sides: Mapping[str, Scores],
    figures: Mapping[str, Mapping[str, Estimate]],
    differences: Mapping[str, Difference] | None = None,
    difference_of: str = "",
) -> list[str]:
    """Markdown lines: a row a figure, a column a side, and one of differences where given; then sizes and speeds."""
    names = list(sides)
    head = ["measured in the runtime (95 % interval)", *names, *([difference_of] if differences is not None else [])]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for key, figure in FIGURES.items():
        if not any(key in figures[name] for name in names):
            continue
        counted = next(found for found in sides.values() if not found.fault)
        label = figure.label.format(
            general=len(counted.general),
            facts=len(counted.facts),
            replies=len(counted.replies),
            mistakes=len(counted.mistakes),
        )
        cells = [_estimate(figures[name].get(key), figure) for name in names]
        if differences is not None:
            cells.append(_difference(differences.get(key), figure))
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    extra = [""] if differences is not None else []
    for label, cells in _costs(list(sides.values())):
        lines.append(f"| {label} | " + " | ".join([*cells, *extra]) + " |")
    return lines


def _estimate(found: Estimate | None, figure: Figure) -> str:
    if found is None:
        return ""
    value, low, high = (f"{figure.scale * number:.{figure.digits}f}" for number in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def _difference(found: Difference | None, figure: Figure) -> str:
    if found is None:
        return ""
    mean, low, high = (f"{figure.scale * number:+.{figure.digits}f}" for number in (found.mean, found.low, found.high))
    share = f"{100 * found.mean / found.before:+.1f} %, " if figure.relative and found.before else ""
    return f"{share}{mean} ({low} to {high})"


def _costs(sides: Sequence[Scores]) -> list[tuple[str, list[str]]]:
    """Sizes, speeds and the canaries: figures without an interval."""
    rows: list[tuple[str, list[str]]] = []
    if any(scores.canary_bits for scores in sides):
        rows.append(("planted secrets, highest exposure in bits", [_most(scores.canary_bits) for scores in sides]))
        rows.append(("planted secrets said by itself", [str(sum(scores.canary_said)) for scores in sides]))
    rows += [
        ("parameters, and the adapter's", [_both(s.parameters, s.adapter_parameters, 1e6, " M") for s in sides]),
        ("on disk, and the adapter", [_both(s.bytes, s.adapter_bytes, 1e6, " MB") for s in sides]),
        ("GFLOPs a token, window full", [f"{s.flops_per_token / 1e9:.2f}" for s in sides]),
        ("first token after, ms", [f"{1000 * s.first_token_s:.0f}" for s in sides]),
        ("decoding, tokens/s", [f"{s.decode_tokens_per_s:.1f}" for s in sides]),
    ]
    return rows


def _most(bits: Sequence[float]) -> str:
    return f"{max(bits):.1f}" if bits else ""


def _both(whole: int, adapter: int, unit: float, name: str) -> str:
    return f"{whole / unit:.1f}{name}" + (f" + {adapter / unit:.1f}{name}" if adapter else "")


def plain(scores: Scores, figures: Mapping[str, Estimate]) -> dict[str, Any]:
    """One side's figures as plain values for JSON, in the units they were measured in."""
    return {
        "fault": scores.fault,
        **{
            name: {"value": found.value, "interval": [found.low, found.high]} for name, found in sorted(figures.items())
        },
        "questions": len(scores.general),
        "facts_questions": len(scores.facts),
        "heldout_conversations": len(scores.heldout_bytes),
        "replies": len(scores.replies),
        "marked_mistakes": len(scores.mistakes),
        "canary_exposure_bits": scores.canary_bits,
        "canaries_said": sum(scores.canary_said),
        "parameters": scores.parameters,
        "adapter_parameters": scores.adapter_parameters,
        "bytes": scores.bytes,
        "adapter_bytes": scores.adapter_bytes,
        "flops_per_token": scores.flops_per_token,
        "first_token_s": scores.first_token_s,
        "decode_tokens_per_s": scores.decode_tokens_per_s,
    }
