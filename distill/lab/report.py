"""The report of an experiment: verdict, conditions, a table of arms with intervals, and bars for a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill.examination import Scores
from distill.lab.experiment import Condition, Experiment
from distill.lab.folder import Result
from distill.lab.measures import MEASURES
from distill.lab.run import BASE
from distill.lab.statistics import Estimate, difference, estimate
from distill.lab.verdict import Found, decide
from distill.plan import minutes

RESAMPLINGS = 4000
BAR_CELLS = 24


@dataclass(frozen=True, slots=True)
class Report:
    """``values`` by measure and arm, in the order of the file, the base first; ``missing`` names what has not run.

    ``left_out`` are arms with the teacher that this home does not have.
    """

    experiment: Experiment
    results: tuple[Result, ...]
    verdict: str
    found: tuple[Found, ...]
    values: Mapping[str, Mapping[str, Estimate]]
    missing: tuple[str, ...]
    left_out: Mapping[str, str]

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.missing:
            return f"{self.experiment.hypothesis} is open: {', '.join(self.missing)}."
        quick = " (a quick run: little data, few steps)" if self.experiment.size == "quick" else ""
        return f"{self.experiment.hypothesis} is {self.verdict}{quick}."


def make_report(experiment: Experiment, results: Sequence[Result], left_out: Mapping[str, str]) -> Report:
    """What the results say; a condition whose arms have not all run leaves the hypothesis open."""
    by_arm = _by_arm(experiment, results)
    values = {
        name: {
            arm: estimate(rows, weights, resamplings=RESAMPLINGS, seed=17)
            for arm, (rows, weights) in _values(by_arm, name).items()
        }
        for name in experiment.measures
    }
    arms = [arm.name for arm in experiment.arms if arm.name not in left_out]
    wanted = [(arm, seed) for arm in arms for seed in experiment.seeds]
    done = {(result.arm, result.seed) for result in results}
    missing = [f"{arm}, seed {seed}, has not run yet" for arm, seed in wanted if (arm, seed) not in done]
    if (BASE, 0) not in done:
        missing.append("the base was not judged yet")
    ruled = {name for condition in experiment.rule for name in (condition.arm, condition.against)}
    missing += [
        f"{arm} needs a [teachers.{name}] table in config.toml" for arm, name in left_out.items() if arm in ruled
    ]
    if missing:
        return Report(experiment, tuple(results), "open", (), values, tuple(missing), left_out)
    verdict, found = decide(experiment.rule, lambda condition: measured(condition, by_arm))
    return Report(experiment, tuple(results), verdict, tuple(found), values, (), left_out)


def measured(condition: Condition, by_arm: Mapping[str, Sequence[Scores]]) -> Estimate:
    """``arm - against`` of a condition, more being better."""
    measure = MEASURES[condition.measure]
    arm, against = ([measure.values(scores) for scores in by_arm[name]] for name in (condition.arm, condition.against))
    found = difference(arm, against, measure.weights(by_arm[condition.arm][0]), resamplings=RESAMPLINGS, seed=17)
    return found if measure.more_is_better else Estimate(-found.value, -found.high, -found.low)


def _by_arm(experiment: Experiment, results: Sequence[Result]) -> dict[str, list[Scores]]:
    """Scores in the order of the seeds, so that arms stand in pairs."""
    found = {}
    for name in (BASE, *(arm.name for arm in experiment.arms)):
        seeds = (0,) if name == BASE else experiment.seeds
        by_seed = {result.seed: result.scores for result in results if result.arm == name}
        if rows := [by_seed[seed] for seed in seeds if seed in by_seed]:
            found[name] = rows
    return found


def _values(
    by_arm: Mapping[str, Sequence[Scores]], name: str
) -> dict[str, tuple[list[Sequence[float]], Sequence[float]]]:
    measure = MEASURES[name]
    found = {}
    for arm, rows in by_arm.items():
        values = [measure.values(scores) for scores in rows]
        if all(values):
            found[arm] = (values, measure.weights(rows[0]))
    return found


def to_markdown(report: Report, *, plot: str = "") -> str:
    """The report for a person; ``plot`` is the name of the picture beside it."""
    experiment = report.experiment
    lines = [f"# {experiment.hypothesis}: {report.verdict}", "", experiment.question, "", f"**{report.sentence}**", ""]
    if report.found:
        lines += ["By the rule that was written before the run:", "", *(f"- {item.text}" for item in report.found), ""]
    lines += [*table(report), ""]
    if plot:
        lines += [f"![The measures of each arm with their 95 % intervals]({plot})", ""]
    lines += ["## Arms", "", *_arms(report), ""]
    lines += [f"Left out: {arm}, for want of a `[teachers.{name}]` table." for arm, name in report.left_out.items()]
    if experiment.settings:
        lines += [f"All arms: {', '.join(f'`{setting}`' for setting in experiment.settings)}.", ""]
    lines += [
        f"Seeds {', '.join(map(str, experiment.seeds))}. Intervals (95 %) are over "
        f"{'seeds and items' if len(experiment.seeds) > 1 else 'items alone, as there is one seed'}: held-out "
        "conversations, replies or questions, the same for every arm."
    ]
    return "\n".join(lines)


def table(report: Report) -> list[str]:
    """Markdown: a row an arm, a column a measure."""
    names = list(report.experiment.measures)
    labels = [
        f"{MEASURES[name].label} ({'more' if MEASURES[name].more_is_better else 'less'} is better)" for name in names
    ]
    lines = ["| arm | " + " | ".join(labels) + " |", "|---" * (len(names) + 1) + "|"]
    arms = dict.fromkeys(arm for name in names for arm in report.values[name])
    for arm in sorted(arms, key=_place(report.experiment)):
        cells = [_cell(name, report.values[name].get(arm)) for name in names]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return lines


def _place(experiment: Experiment) -> Any:
    order = [BASE, *(arm.name for arm in experiment.arms)]
    return order.index


def _cell(name: str, found: Estimate | None) -> str:
    if found is None:
        return ""
    measure = MEASURES[name]
    return f"{measure.text(found.value)} ({measure.text(found.low)} to {measure.text(found.high)})"


def _arms(report: Report) -> list[str]:
    lines = ["| arm | what it is | recipe and settings | conversations | steps | tokens | training |", "|---" * 7 + "|"]
    for arm in report.experiment.arms:
        rows = [result for result in report.results if result.arm == arm.name]
        if not rows:
            continue
        first, seconds = rows[0], sum(row.train_s for row in rows) / len(rows)
        settings = " ".join([f"`{arm.recipe}`", *(f"`{setting}`" for setting in arm.settings)])
        lines.append(
            f"| {arm.name} | {arm.says} | {settings} | {first.conversations} | {first.steps} | {first.tokens:,} "
            f"| {minutes(seconds)} |"
        )
    return lines


def bars(report: Report) -> str:
    """Each measure as bars with their intervals, for a terminal of 80 columns."""
    lines = []
    for name in report.experiment.measures:
        found = report.values[name]
        if not found:
            continue
        measure = MEASURES[name]
        low, high = min(item.low for item in found.values()), max(item.high for item in found.values())
        lines.append(f"{measure.label}; {'more' if measure.more_is_better else 'less'} is better")
        for arm, item in found.items():
            lines.append(f"  {arm:<12.12} {_bar(item, low, high)} {_cell(name, item)}")
        lines.append("")
    return "\n".join(lines).rstrip()


def _bar(item: Estimate, low: float, high: float) -> str:
    """The interval as a line with the value on it, on an axis that all arms of a measure share."""
    span = (high - low) or 1.0
    start, middle, end = (round((BAR_CELLS - 1) * (x - low) / span) for x in (item.low, item.value, item.high))
    cells = [" "] * BAR_CELLS
    cells[start : end + 1] = ["─"] * (end + 1 - start)
    cells[middle] = "●"
    return "".join(cells)


def to_dict(report: Report) -> dict[str, Any]:
    """Plain values, for programs."""
    return {
        "experiment": report.experiment.name,
        "size": report.experiment.size,
        "hypothesis": report.experiment.hypothesis,
        "verdict": report.verdict,
        "sentence": report.sentence,
        "missing": list(report.missing),
        "left_out": dict(report.left_out),
        "conditions": [
            {
                "measure": item.condition.measure,
                "arm": item.condition.arm,
                "against": item.condition.against,
                "at_least": item.condition.at_least,
                "at_most": item.condition.at_most,
                "difference": item.difference.value,
                "interval": [item.difference.low, item.difference.high],
                "holds": item.holds,
            }
            for item in report.found
        ],
        "values": {
            name: {arm: {"value": e.value, "interval": [e.low, e.high]} for arm, e in arms.items()}
            for name, arms in report.values.items()
        },
        "arms": [
            {
                "arm": result.arm,
                "seed": result.seed,
                "steps": result.steps,
                "tokens": result.tokens,
                "train_s": result.train_s,
            }
            for result in report.results
        ],
    }
