"""The report of a molt, for programs (report.json) and for people (report.md)."""

from collections.abc import Mapping, Sequence
from typing import Any

from distill.evaluate.bootstrap import Difference
from distill.gate import Verdict
from distill.judge import SAMPLE_QUESTIONS, Comparison, Scores
from distill.plan import minutes
from distill.progress import sparkline
from distill.state import RunState

CURVE_CELLS = 60


def build(
    state: RunState,
    *,
    champion: Scores,
    champion_number: int,
    candidate: Scores,
    comparison: Comparison,
    verdict: Verdict,
    losses: Sequence[float],
    measured: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything measured, as plain values. ``measured`` brings sizes (bytes) and speeds of this run."""
    plan = dict(state.plan)
    return {
        "molt": state.molt,
        "base": dict(state.base),
        "verdict": verdict.to_dict(),
        "champion": champion_number,
        "data": {
            "conversations": plan["conversations"],
            "targets": plan["targets"],
            "new_targets": plan["new_targets"],
            "target_tokens": plan["target_tokens"],
            "trained_tokens": plan["row_tokens"],
            "heldout_conversations": len(state.heldout),
            "left_out": plan["left_out"],
        },
        "heldout_bits_per_byte": _pair(comparison.heldout, comparison, "heldout"),
        "heldout_bits_per_byte_short_prompt": _pair(comparison.heldout_short, comparison, "heldout_short"),
        "general": {
            **(_pair(comparison.general, comparison, "general") or {}),
            "questions": len(candidate.general),
            "champion_accuracy": sum(champion.general_right) / len(champion.general_right),
            "candidate_accuracy": sum(candidate.general_right) / len(candidate.general_right),
        },
        "training": {
            "rows": len(losses),
            "epochs": plan["epochs"],
            "loss_first": losses[0] if losses else None,
            "loss_last": losses[-1] if losses else None,
            "losses": [round(loss, 4) for loss in losses],
        },
        "measured": {
            **measured,
            "champion_decode_tokens_per_s": round(champion.decode_tokens_per_s, 1),
            "candidate_decode_tokens_per_s": round(candidate.decode_tokens_per_s, 1),
        },
        "samples": [
            {"question": question, "champion": before, "candidate": after}
            for question, before, after in zip(SAMPLE_QUESTIONS, champion.samples, candidate.samples, strict=True)
        ],
        "config": state.config.to_dict(),
    }


def _pair(difference: Difference | None, comparison: Comparison, key: str) -> dict[str, Any] | None:
    if difference is None:
        return None
    return {
        "champion": difference.before,
        "champion_interval": list(comparison.champion_intervals[key]),
        "candidate": difference.after,
        "candidate_interval": list(comparison.candidate_intervals[key]),
        "difference": difference.mean,
        "difference_interval": [difference.low, difference.high],
        "relative": difference.mean / difference.before if difference.before else None,
    }


def title(report: Mapping[str, Any]) -> str:
    """One line for lists of molts."""
    data, heldout = report["data"], report["heldout_bits_per_byte"]
    learnt = f"{data['targets']} replies of {data['conversations']} conversations"
    if heldout is None:
        return f"{learnt}; not judged"
    return f"{learnt}; held-out {heldout['champion']:.3f} -> {heldout['candidate']:.3f} bits per byte"


def to_markdown(report: Mapping[str, Any]) -> str:
    """The report for a person."""
    data, general, training, measured = report["data"], report["general"], report["training"], report["measured"]
    curve = sparkline(training["losses"], CURVE_CELLS)
    lines = [f"# Molt {report['molt']}: {report['verdict']['verdict']}", ""]
    lines += [f"- {reason}" for reason in report["verdict"]["reasons"]]
    lines += ["", f"Base: {report['base']['name']}. Champion it was compared with: molt {report['champion']}.", ""]
    lines += ["| measured in the runtime | champion | candidate | difference (95 % interval) |", "|---|---|---|---|"]
    for label, key in (
        ("held-out bits per byte, full identity as prompt (lower is better)", "heldout_bits_per_byte"),
        (f"held-out bits per byte, prompt {report['config']['short_system']!r}", "heldout_bits_per_byte_short_prompt"),
    ):
        pair = report[key]
        lines.append(f"| {label} | {_cells(pair, 1, 3)} |" if pair else f"| {label} | none held out | | |")
    lines.append(f"| right answer to {general['questions']} general questions, % | {_cells(general, 100, 1)} |")
    accuracy = f"{100 * general['champion_accuracy']:.1f} | {100 * general['candidate_accuracy']:.1f}"
    lines.append(f"| of these the likeliest answer is right, % | {accuracy} | |")
    speed = f"{measured['champion_decode_tokens_per_s']} | {measured['candidate_decode_tokens_per_s']}"
    lines += [f"| decoding, tokens/s | {speed} | |", ""]
    lines += [
        "## Data",
        "",
        f"{data['conversations']} conversations, {data['targets']} replies to learn from ({data['new_targets']} new), "
        f"{data['target_tokens']} reply tokens; {data['heldout_conversations']} conversations held out.",
        "",
    ]
    lines += [f"- left out: {count} ({reason})" for reason, count in data["left_out"].items()] or ["Nothing left out."]
    lines += [
        "",
        "## Training",
        "",
        f"{training['rows']} steps, {training['epochs']:.2g} epochs, {data['trained_tokens']} tokens with their "
        f"prompts in {minutes(measured['train_s'])}: {measured['train_tokens_per_s']:.0f} tokens/s, "
        f"{measured['precision']}. Judging took {minutes(measured['judge_s'])}.",
        f"The adapter has {measured['adapter_bytes'] / 1e6:.1f} MB, {measured['trainable_parameters']} parameters.",
        "",
        f"    loss {training['loss_first'] or 0:.2f} {curve} {training['loss_last'] or 0:.2f}",
        "",
        "## How they speak",
        "",
    ]
    for sample in report["samples"]:
        lines += [f"**{sample['question']}**", ""]
        lines += [f"- champion: {_one_line(sample['champion'])}", f"- candidate: {_one_line(sample['candidate'])}", ""]
    return "\n".join(lines)


def _cells(pair: Mapping[str, Any], scale: float, digits: int) -> str:
    def with_interval(value: float, ends: Sequence[float]) -> str:
        return f"{scale * value:.{digits}f} ({scale * ends[0]:.{digits}f} to {scale * ends[1]:.{digits}f})"

    low, high = pair["difference_interval"]
    relative = f"{100 * pair['relative']:+.1f} %, " if pair["relative"] is not None else ""
    return " | ".join(
        [
            with_interval(pair["champion"], pair["champion_interval"]),
            with_interval(pair["candidate"], pair["candidate_interval"]),
            f"{relative}{scale * pair['difference']:+.{digits}f} "
            f"({scale * low:+.{digits}f} to {scale * high:+.{digits}f})",
        ]
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
