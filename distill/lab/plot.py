"""The picture of a report: a panel a measure, the arms with their intervals, or a curve where arms lie on an axis."""

from pathlib import Path
from typing import Any

from distill.lab.measures import MEASURES
from distill.lab.report import Report
from distill.lab.run import BASE

PANEL_INCHES = (4.2, 2.6)
COLUMNS = 2


def draw(report: Report, path: Path) -> None:
    """Write a PNG."""
    from matplotlib.figure import Figure

    names = [name for name in report.experiment.measures if report.values[name]]
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(PANEL_INCHES[0] * COLUMNS, PANEL_INCHES[1] * rows), layout="constrained", dpi=110)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    places = {arm.name: (arm.x, arm.series) for arm in report.experiment.arms if arm.x is not None}
    for panel, name in zip(axes, names, strict=False):
        measure = MEASURES[name]
        panel.set_title(f"{measure.label}\n({'more' if measure.more_is_better else 'less'} is better)", fontsize=8)
        panel.tick_params(labelsize=7)
        if places:
            _curve(panel, report, name, places)
        else:
            _arms(panel, report, name)
    for panel in axes[len(names) :]:
        panel.set_axis_off()
    figure.suptitle(report.sentence, fontsize=9)
    figure.savefig(path)


def _arms(panel: Any, report: Report, name: str) -> None:
    measure, found = MEASURES[name], report.values[name]
    for row, (arm, item) in enumerate(found.items()):
        value = measure.scale * item.value
        sides = [[value - measure.scale * item.low], [measure.scale * item.high - value]]
        panel.errorbar([value], [row], xerr=sides, fmt="o", capsize=3, color="0.5" if arm == BASE else "tab:blue")
    panel.set_yticks(range(len(found)), list(found))
    panel.invert_yaxis()
    panel.grid(axis="x", alpha=0.3)


def _curve(panel: Any, report: Report, name: str, places: dict[str, tuple[float, str]]) -> None:
    """Arms with a place as a curve for each series (those of none are on all); the others and the base as levels."""
    measure, found = MEASURES[name], report.values[name]
    series = dict.fromkeys(own for _x, own in places.values() if own) or {"": None}
    for own in series:
        mine = {arm for arm, (_x, its) in places.items() if its in ("", own)}
        on_axis = sorted((places[arm][0], item) for arm, item in found.items() if arm in mine)
        xs = [x for x, _item in on_axis]
        values = [measure.scale * item.value for _x, item in on_axis]
        lows = [v - measure.scale * item.low for v, (_x, item) in zip(values, on_axis, strict=True)]
        highs = [measure.scale * item.high - v for v, (_x, item) in zip(values, on_axis, strict=True)]
        panel.errorbar(xs, values, yerr=[lows, highs], fmt="o-", capsize=3, label=own or None)
    styles = iter(("--", ":", "-."))
    for arm, item in found.items():
        if arm not in places:
            panel.axhline(measure.scale * item.value, linestyle=next(styles, "--"), color="0.5", label=arm)
    ticks = sorted({x for arm, (x, _own) in places.items() if arm in found})
    panel.legend(fontsize=6)
    panel.set_xscale("log")
    panel.set_xticks(ticks, [f"{x:g}" for x in ticks])
    panel.minorticks_off()
    panel.grid(alpha=0.3)
