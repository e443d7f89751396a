"""The report of a molt, for programs (report.json) and for people (report.md)."""

from collections.abc import Mapping, Sequence
from typing import Any

from distill.examination import SAMPLE_QUESTIONS
from distill.figures import plain, table
from distill.judgement import CANDIDATE, CHAMPION, TWIN, Judgement
from distill.plan import minutes
from distill.progress import sparkline
from distill.state import RunState

CURVE_CELLS = 60


def build(
    state: RunState,
    judgement: Judgement,
    *,
    champion_number: int,
    losses: Sequence[float],
    measured: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything measured, as plain values. ``measured`` brings sizes (bytes) and speeds of the chosen student."""
    plan = dict(state.plan)
    champion, chosen = judgement.scores[CHAMPION], judgement.scores[judgement.chosen]
    sides = dict(judgement.scores)
    differences = {
        f"{later} against {earlier}": {name: found.to_dict() for name, found in by_figure.items()}
        for (earlier, later), by_figure in judgement.differences.items()
    }
    return {
        "molt": state.molt,
        "base": dict(state.base),
        "verdict": judgement.verdict.to_dict(),
        "champion": champion_number,
        "chosen": judgement.chosen,
        "data": {
            "conversations": plan["conversations"],
            "targets": plan["targets"],
            "new_targets": plan["new_targets"],
            "target_tokens": plan["target_tokens"],
            "trained_tokens": plan["row_tokens"],
            "lessons": plan["lessons"],
            "explained": plan["explained"],
            "heldout_conversations": len(state.heldout),
            "left_out": plan["left_out"],
        },
        "heldout_bits_per_byte": _pair(judgement, "heldout"),
        "heldout_bits_per_byte_short_prompt": _pair(judgement, "heldout_short"),
        "general": _pair(judgement, "general"),
        "sides": {name: plain(scores, judgement.figures[name]) for name, scores in sides.items()},
        "differences": differences,
        "tables": _tables(judgement),
        "twin": _against_twin(judgement),
        "style": _style(judgement),
        "teachers": dict(state.scored),
        "training": {
            "rows": len(losses),
            "epochs": plan["epochs"],
            "loss_first": losses[0] if losses else None,
            "loss_last": losses[-1] if losses else None,
            "losses": [round(loss, 4) for loss in losses],
        },
        "measured": dict(measured),
        "samples": [
            {"question": question, "champion": before, "candidate": after}
            for question, before, after in zip(
                SAMPLE_QUESTIONS, champion.samples, chosen.samples or [""] * len(SAMPLE_QUESTIONS), strict=True
            )
        ],
        "config": state.config.to_dict(),
    }


def _tables(judgement: Judgement) -> list[list[str]]:
    """Markdown: the chosen student beside the champion and, where there is a twin, the two students side by side."""
    shown = [(CHAMPION, judgement.chosen)] + ([(TWIN, CANDIDATE)] if TWIN in judgement.scores else [])
    return [
        table(
            {name: judgement.scores[name] for name in pair},
            {name: judgement.figures[name] for name in pair},
            judgement.differences[pair],
            f"{pair[1]} - {pair[0]}",
        )
        for pair in shown
        if not all(judgement.scores[name].fault for name in pair)
    ]


def _against_twin(judgement: Judgement) -> str:
    """One sentence: which of the two students was better, how surely, and who went before the gate; "" without twin."""
    if TWIN not in judgement.scores:
        return ""
    gone = "The twin" if judgement.chosen == TWIN else "The student of the recipe"
    found = judgement.differences[TWIN, CANDIDATE].get("heldout")
    if found is None:
        return f"Same data, steps and seed. Held-out text to compare them by is missing. {gone} went before the gate."
    if found.high < 0:
        who = "The student of the recipe beats its hard-label twin"
    elif found.low > 0:
        who = "The hard-label twin beats the student of the recipe"
    else:
        who = "Between the student of the recipe and its hard-label twin there is no sure difference"
    return (
        f"Same data, steps and seed. {who} on held-out text: {found.after:.3f} against {found.before:.3f} bits per "
        f"byte (95 % interval of the difference {found.low:+.3f} to {found.high:+.3f}). {gone} went before the gate."
    )


def _style(judgement: Judgement) -> str:
    """One sentence on what the style figures are to be read by: the teacher's own replies do not all pass either."""
    found = judgement.figures[CHAMPION].get("teacher_passes")
    if found is None:
        return ""
    return (
        "Style is told by a classifier fitted on other conversations, the teacher's replies against the base's. Of the "
        f"teacher's own held-out replies {100 * found.value:.0f} % ({100 * found.low:.0f} to {100 * found.high:.0f}) "
        "pass for his."
    )


def _pair(judgement: Judgement, name: str) -> dict[str, Any] | None:
    """One figure of champion and chosen student; None where it was not measured."""
    difference = judgement.differences[CHAMPION, judgement.chosen].get(name)
    if difference is None:
        return None
    before, after = (judgement.figures[side][name] for side in (CHAMPION, judgement.chosen))
    return {
        "champion": difference.before,
        "champion_interval": [before.low, before.high],
        "candidate": difference.after,
        "candidate_interval": [after.low, after.high],
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
    data, training, measured = report["data"], report["training"], report["measured"]
    curve = sparkline(training["losses"], CURVE_CELLS)
    lines = [f"# Molt {report['molt']}: {report['verdict']['verdict']}", ""]
    lines += [f"- {reason}" for reason in report["verdict"]["reasons"]]
    lines += ["", f"Base: {report['base']['name']}. Champion it was compared with: molt {report['champion']}.", ""]
    first, *others = report["tables"] or [[]]
    lines += [*first, "", report["style"], ""] if report["style"] else [*first, ""]
    if report["twin"]:
        lines += ["## Against its hard-label twin", "", report["twin"], ""]
    for lines_of in others:
        lines += [*lines_of, ""]
    lines += _teachers(report["teachers"])
    lines += [
        "## Data",
        "",
        f"{data['conversations']} conversations, {data['targets']} replies to learn from ({data['new_targets']} new), "
        f"{data['target_tokens']} reply tokens; {data['heldout_conversations']} conversations held out.",
    ]
    if data["lessons"] or data["explained"]:
        lines.append(f"Beside them {data['lessons']} lessons in reading memories and {data['explained']} rationales.")
    lines.append("")
    lines += [f"- left out: {count} ({reason})" for reason, count in data["left_out"].items()] or ["Nothing left out."]
    lines += [
        "",
        "## Training",
        "",
        f"{training['rows']} steps, {training['epochs']:.2g} epochs, {data['trained_tokens']} tokens with their "
        f"prompts in {minutes(measured['train_s'])}: {measured['train_tokens_per_s']:.0f} tokens/s, "
        f"{measured['precision']}. Judging took {minutes(measured['judge_s'])}.",
        f"The student's file has {measured['adapter_bytes'] / 1e6:.1f} MB; "
        f"{measured['trainable_parameters']:,} parameters were trained.",
        *_preference(measured.get("preference") or {}),
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


def _teachers(scored: Mapping[str, Any]) -> list[str]:
    """Who gave the soft targets, and how far he can be believed."""
    lines: list[str] = []
    for role, found in scored.items():
        calibration = found["calibration"]
        line = f"The {role}, {found['teacher']} ({found['model']}), scored {found['replies']:,} replies"
        if calibration:
            verdict = "It is overconfident" if calibration["overconfident"] else "It is not overconfident"
            line += (
                f". {verdict}: {calibration['confidence']:.1%} sure of its first choice, right in "
                f"{calibration['accuracy']:.1%} of {calibration['tokens']:,} tokens; expected calibration error "
                f"{calibration['error']:.3f}"
            )
        lines += [f"{line}.", ""]
    return ["## Teachers", "", *lines] if lines else []


def _preference(learnt: Mapping[str, Any]) -> list[str]:
    """What the preference pairs did, where they were learnt."""
    if not learnt:
        return []
    lines = []
    for side, name in (("pairs", "learnt"), ("heldout_pairs", "held out")):
        if side in learnt["before"]:
            before, after = learnt["before"][side], learnt["after"][side]
            lines.append(
                f"{before['pairs']} preference pairs {name}, {learnt['steps']} steps: the wanted reply was likelier "
                f"in {before['preferred_share']:.0%}, now in {after['preferred_share']:.0%}."
            )
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())
