"""``python -m distill lab``: hypotheses as experiments: which there are, run one, its report."""

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distill.progress import EXIT_CANCELLED
from memory.errors import MoltingError, TrainingError, UsageError
from memory.files import file_lock, write_atomic
from memory.home import Home

if TYPE_CHECKING:
    from distill.lab.experiment import Experiment
    from distill.lab.folder import LabFolder, Result
    from distill.lab.purification import PurificationLab
    from distill.lab.report import Report
    from distill.lab.run import Lab

home_argument = click.option(
    "--home", "home_dir", type=click.Path(path_type=Path), required=True, help="The agent's home."
)
quick_option = click.option("--quick", is_flag=True, help="The small size: little data, one seed, some minutes.")
json_flag = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")


@click.group(epilog="Example: python -m distill lab run h009 --home ~/claudio --quick")
def lab() -> None:
    """Hypotheses as experiments, by the trainer and the judge of a molt."""


@lab.command(epilog="Example: python -m distill lab ls --home ~/claudio")
@home_argument
@json_flag
def ls(home_dir: Path, as_json: bool) -> None:
    """List the experiments, and what came out of those that ran in this home."""
    from distill.lab.experiment import SIZES, names, read_experiment
    from distill.lab.folder import LabFolder

    rows = []
    for name in names():
        experiment = read_experiment(name)
        said = []
        for size in SIZES:
            folder = LabFolder(Home(home_dir), read_experiment(name, size))
            if folder.json.exists():
                said.append(json.loads(folder.json.read_text(encoding="utf-8"))["sentence"])
        rows.append({"name": name, "question": experiment.question, "found": said})
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for row in rows:
        click.echo(f"{row['name']:<8} {row['question']}")
        for sentence in row["found"]:
            click.echo(f"{'':<8} {sentence}")


@lab.command(epilog="Example: python -m distill lab run h009 --home ~/claudio --quick")
@click.argument("name")
@home_argument
@quick_option
@click.option("--plan", "plan_only", is_flag=True, help="Say how long it will take, and run nothing.")
@click.option("--fresh", is_flag=True, help="Forget what was measured before and begin anew.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of CommonsenseQA, for the experiment that learns it.",
)
@click.option("--model", default="", help="The base, by name or path; else the embedded one.")
@json_flag
def run(
    *,
    name: str,
    home_dir: Path,
    quick: bool,
    plan_only: bool,
    fresh: bool,
    data: Path | None,
    model: str,
    as_json: bool,
) -> None:
    """Run an experiment, or go on with it where it was stopped; NAME is one of ``lab ls`` or a TOML file."""
    from distill.reporter import Stopped

    home = Home(home_dir)

    def go() -> None:
        _run(home, name, quick, plan_only, fresh, data, model, as_json)

    try:
        _in_home(home, go)
    except Stopped:
        click.echo(f"distill: stopped; go on with the same command: molt lab run {name}", err=True)
        sys.exit(EXIT_CANCELLED)


@lab.command(epilog="Example: python -m distill lab report h009 --home ~/claudio")
@click.argument("name")
@home_argument
@quick_option
@json_flag
def report(*, name: str, home_dir: Path, quick: bool, as_json: bool) -> None:
    """What an experiment has found so far; the same as a table and a plot in ``lab/`` of the home."""
    home = Home(home_dir)

    def go() -> None:
        from distill.lab.experiment import read_experiment
        from distill.lab.folder import LabFolder

        experiment = read_experiment(name, "quick" if quick else "full")
        folder = LabFolder(home, experiment)
        if not folder.results.exists():
            raise UsageError(
                f"{name} has not run in this home; run it: molt lab run {name}{' --quick' if quick else ''}"
            )
        folder.open(experiment)
        from distill.lab.report import make_report
        from distill.lab.run import left_out

        made = make_report(experiment, folder.read(), left_out(experiment, home))
        _say(_written(made, folder), folder, as_json)

    _in_home(home, go)


def _in_home(home: Home, go: Callable[[], None]) -> None:
    """Errors in one line."""
    try:
        if not home.identity_dir.is_dir():
            raise UsageError(f"{home.root} is no home; make one first: molt --home {home.root}")
        go()
    except MoltingError as error:
        click.echo(f"distill: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"distill: {error.filename or home.root}: {error.strerror}; what was measured is kept", err=True)
        sys.exit(1)


def _run(
    home: Home, name: str, quick: bool, plan_only: bool, fresh: bool, data: Path | None, model: str, as_json: bool
) -> None:
    from distill.lab.experiment import read_experiment
    from distill.lab.report import make_report
    from distill.lab.run import left_out, remove

    experiment = read_experiment(name, "quick" if quick else "full")
    home.training_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file_lock(home.training_dir / "lock", blocking=False) as free, redirect_stdout(sys.stderr):
        if not free:
            raise TrainingError("a training is under way in this home already; watch it: molt retrain")
        lab_run = _lab(home, experiment, data, model)
        if fresh and not plan_only:
            remove(home, experiment)
        estimate = lab_run.estimate()
        click.echo(estimate.text, err=True)
        if plan_only:
            return

        def on_result(result: "Result") -> None:
            click.echo(f"{result.arm}, seed {result.seed}: {result.steps} steps in {result.train_s:.0f} s", err=True)

        results = lab_run.go(on_result)
        made = _written(make_report(experiment, results, left_out(experiment, home)), lab_run.folder)
    _say(made, lab_run.folder, as_json)


def _lab(home: Home, experiment: "Experiment", data: Path | None, model: str) -> "Lab | PurificationLab":
    """Who runs the experiment. Errors: UsageError where its data is not given."""
    from distill.reporter import Reporter

    if not experiment.data:
        from distill.lab.run import Lab

        return Lab(home, experiment, Reporter(None), model_name=model)
    if data is None:
        raise UsageError(f"{experiment.name} learns {experiment.data}, which is not shipped: --data FOLDER")
    from distill.lab.purification import PurificationLab

    return PurificationLab(home, experiment, Reporter(None), data, model_name=model)


def _written(made: "Report", folder: "LabFolder") -> "Report":
    """The report as files of the home: Markdown, JSON and the plot."""
    from distill.lab.plot import draw
    from distill.lab.report import to_dict, to_markdown

    draw(made, folder.plot)
    write_atomic(folder.report, to_markdown(made, plot=folder.plot.name) + "\n")
    write_atomic(folder.json, json.dumps(to_dict(made), ensure_ascii=False, indent=1) + "\n")
    return made


def _say(made: "Report", folder: "LabFolder", as_json: bool) -> None:
    from distill.lab.report import bars, to_dict

    if as_json:
        click.echo(json.dumps(to_dict(made), ensure_ascii=False, indent=1))
        return
    lines = [bars(made), "", *(item.text for item in made.found), made.sentence, str(folder.report)]
    click.echo("\n".join(lines))
