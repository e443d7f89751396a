"""``python -m memory.evaluate``: how well recall finds what was said, on LoCoMo and LongMemEval."""

import itertools
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from memory import embedder
from memory.errors import MoltingError, UsageError
from memory.evaluate.asking import Asked, ask_all, home_in, score
from memory.evaluate.fitting import leave_one_out
from memory.evaluate.locomo import read_locomo
from memory.evaluate.longmemeval import read_longmemeval
from memory.evaluate.measures import CUTS, mean
from memory.evaluate.model import Haystack
from memory.home import Home
from memory.recall.rank import Weights
from memory.recall.recall import WEIGHTS

MODES = {
    "lexical": replace(WEIGHTS, vector=0.0),
    "vector": replace(WEIGHTS, lexical=0.0, conversation=0.0),
    "hybrid": WEIGHTS,
}
Reader = Callable[[Path], list[Haystack]]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Recall of sessions and turns on published questions, by words, by vectors and by both."""


def _command(name: str, read: Reader, what: str) -> None:
    @main.command(name, help=what, epilog=f"Example: python -m memory.evaluate {name} {name}.json --json")
    @click.argument("path", type=click.Path(path_type=Path))
    @click.option("--limit", type=click.IntRange(1), help="Only the first so many haystacks.")
    @click.option("--home", "homes", type=click.Path(path_type=Path), help="Keep the homes here: embedded only once.")
    @click.option(
        "--models", type=click.Path(path_type=Path), help="A home's models folder with the prepared embedder."
    )
    @click.option("--fit", "fits", is_flag=True, help="Fit the weights too, leaving one conversation out.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
    def run(path: Path, limit: int | None, as_json: bool, **options: Any) -> None:
        try:
            report = evaluate(read(path)[:limit], **options)
        except MoltingError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        click.echo(json.dumps(report, indent=1) if as_json else as_text(report))


_command("locomo", read_locomo, "The conversations of LoCoMo in PATH, without its adversarial questions.")
_command("longmemeval", read_longmemeval, "The questions of LongMemEval in PATH, each over its own sessions.")


def evaluate(
    haystacks: Sequence[Haystack], *, homes: Path | None = None, models: Path | None = None, fits: bool = False
) -> dict[str, Any]:
    """All figures as plain values; raises UsageError where there is nothing to ask."""
    if not any(haystack.questions for haystack in haystacks):
        raise UsageError("no question with an answer in the conversations; give a file that has some")
    asked: list[Asked] = []
    with ExitStack() as stack:
        folder = homes or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="molting-evaluate-")))
        models_dir = models or Home(folder / "models-home").models_dir
        models_dir.mkdir(parents=True, exist_ok=True)
        embedder.prepare(models_dir)
        for number, haystack in enumerate(haystacks):
            note(f"{haystack.name}: {number + 1} of {len(haystacks)}")
            asked += ask_all(home_in(folder, number, models_dir), haystack, WEIGHTS)
    seconds = sorted(one.seconds for one in asked)
    report: dict[str, Any] = {
        "haystacks": len(haystacks),
        "questions": len(asked),
        "modes": {name: _scored(asked, weights) for name, weights in MODES.items()},
        "kinds": _by_kind(asked),
        "recall_ms": {
            "p50": 1000 * statistics.median(seconds),
            "p95": 1000 * seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))],
        },
    }
    if fits:
        if len(haystacks) < 2:
            raise UsageError("fitting leaves one conversation out; give a file with at least two")
        done = itertools.count(1)
        held_out, fitted = leave_one_out(asked, WEIGHTS, lambda: note(f"fitting: {next(done)} settings tried"))
        report["fitted"] = {"held_out": held_out, "weights": fitted}
    note("")
    return report


def as_text(report: dict[str, Any]) -> str:
    """The figures as tables."""
    lines = [f"{report['questions']} questions over {report['haystacks']} haystacks"]
    lines.append("recall {p50:.1f} ms (p95 {p95:.1f})".format(**report["recall_ms"]))
    tables = dict(report["modes"])
    if "fitted" in report:
        tables["fitted, held out"] = report["fitted"]["held_out"]
    tables |= {f"hybrid: {kind}": values for kind, values in report["kinds"].items()}
    names = [f"{of} {name}@{k}" for of in ("session", "turn") for name in ("hit", "recall", "ndcg") for k in CUTS]
    width = max(map(len, tables))
    for of in ("session", "turn"):
        some = [name for name in names if name.startswith(of)]
        lines += ["", of.ljust(width) + "".join(name.split()[1].rjust(11) for name in some)]
        for name, values in tables.items():
            lines.append(name.ljust(width) + "".join(f"{values.get(one, float('nan')):11.3f}" for one in some))
    for left_out, weights in report.get("fitted", {}).get("weights", {}).items():
        lines.append(f"fitted without {left_out}: " + "  ".join(f"{name} {value:g}" for name, value in weights.items()))
    return "\n".join(lines)


def note(text: str) -> None:
    """Progress, where somebody looks."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def _scored(asked: Sequence[Asked], weights: Weights) -> dict[str, float]:
    return mean_of([score(one, weights) for one in asked])


def _by_kind(asked: Sequence[Asked]) -> dict[str, dict[str, float]]:
    rows: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
    for one in asked:
        rows[one.question.kind].append(score(one, WEIGHTS))
    return {kind: mean_of(found) | {"questions": len(found)} for kind, found in rows.items()}


def mean_of(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Session measures over all questions, turn measures over those whose turns are known."""
    with_turns = [row for row in rows if any(name.startswith("turn") for name in row)]
    sessions = mean([{name: value for name, value in row.items() if name.startswith("session")} for row in rows])
    return sessions | {name: value for name, value in mean(with_turns).items() if name.startswith("turn")}


if __name__ == "__main__":
    main()
