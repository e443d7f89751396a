"""``python -m distill``: the training child of the app, and the command that trains the molt he ships with."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from distill.commands.conflict import conflict
from distill.commands.dataset import dataset
from distill.commands.evaluate import evaluate
from distill.commands.export import export
from distill.commands.lab import lab
from distill.commands.purify import purify
from distill.commands.settle import settle
from distill.commands.signals import signals
from distill.commands.teach import teach
from distill.config import DistillConfig, load_config
from distill.processes import Processes, join
from distill.progress import EXIT_CANCELLED, EXIT_FAILED, EXIT_PROMOTED, EXIT_REJECTED, EXIT_TOO_LITTLE
from distill.reporter import Reporter, Stopped
from memory.errors import MoltingError, TrainingError
from memory.files import file_lock
from memory.home import Home


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """From conversations to a judged, exported student."""


main.add_command(dataset)
main.add_command(export)
main.add_command(lab)
main.add_command(settle)
main.add_command(evaluate)
main.add_command(signals)
main.add_command(teach)
main.add_command(conflict)
main.add_command(purify)


@main.command(epilog="Example: python -m distill train --home ~/claudio --minutes 20 --set epochs=2")
@click.option("--home", "home_dir", type=click.Path(path_type=Path), required=True, help="The agent's home.")
@click.option("--minutes", type=click.FloatRange(min=0.1), help="Fit data and steps into this time.")
@click.option("--recipe", default="", help="A name of distill/recipes/, or a TOML file.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting; repeatable.")
@click.option("--model", default="", help="The base, by name or path; else the embedded one.")
@click.option("--resume", is_flag=True, help="Go on with the interrupted run; an error when there is none.")
@click.option("--fresh", is_flag=True, help="Forget an interrupted run and start anew.")
@click.option("--plan", "plan_only", is_flag=True, help="Say what would be trained on and how long it takes.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan or the report as JSON.")
def train(
    *,
    home_dir: Path,
    minutes: float | None,
    recipe: str,
    settings: tuple[str, ...],
    model: str,
    resume: bool,
    fresh: bool,
    plan_only: bool,
    as_json: bool,
) -> None:
    """Retrain: collect, train, export, judge, and promote if better. An interrupted run is gone on with.

    Exit codes: 0 promoted, 10 not promoted, 11 too little to learn from, 12 stopped (resumable), 1 failed. Over
    several processes: accelerate launch --config_file distill/accelerate/ddp.yaml -m distill train ... (0 when judged).
    """
    home = Home(home_dir)
    try:
        config = load_config(recipe, settings)
        processes = join()
        if not processes.main:
            sys.exit(_help_training(home, model, processes))
        home.training_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with file_lock(home.training_dir / "lock", blocking=False) as free:
            if not free:
                raise TrainingError("a retraining is under way in this home already; watch it: molt retrain")
            code = _train(home, config, minutes, model, _how(resume, fresh), plan_only, as_json, processes)
    except MoltingError as error:
        click.echo(f"distill: {error}", err=True)
        code = error.exit_code
    except OSError as error:
        place = error.filename or home_dir
        click.echo(f"distill: {place}: {error.strerror}; mend it and go on with: molt retrain --resume", err=True)
        code = EXIT_FAILED
    sys.exit(code)


def _how(resume: bool, fresh: bool) -> str:
    return "resume" if resume else "fresh" if fresh else "either"


def _help_training(home: Home, model: str, processes: Processes) -> int:
    """The part of a process beside the main one; its words are the main one's, so it says nothing itself."""
    from distill.lesson import help_training
    from molting_agent.runtime.models import resolve_model

    try:
        with redirect_stdout(sys.stderr):
            help_training(resolve_model(home, model), home, processes)
    except Stopped:
        return EXIT_CANCELLED
    return EXIT_PROMOTED


def _train(
    home: Home,
    config: DistillConfig,
    minutes: float | None,
    model: str,
    how: str,
    plan_only: bool,
    as_json: bool,
    processes: Processes,
) -> int:
    from distill.run import Run, TooLittle

    # A plan changes nothing: an interrupted run stays what progress.json says it is.
    reporter = Reporter(None if plan_only else home.training_dir)
    try:
        run = Run(home, reporter, model_name=model, processes=processes)
        # Libraries print what they like; only the result goes to stdout.
        with redirect_stdout(sys.stderr):
            if plan_only:
                made, _state = run.plan(config, minutes)
                processes.share()
            else:
                goes_on = how == "resume" or (how == "either" and run.folder.exists)
                state = run.resume() if goes_on else run.begin(config, minutes)
                built = run.go(state)
    except Stopped:
        reporter.phase("cancelled", "stopped; go on with: molt retrain --resume")
        return EXIT_CANCELLED
    except TooLittle as error:
        reporter.phase("failed", str(error))
        click.echo(f"distill: {error}", err=True)
        return EXIT_TOO_LITTLE
    except Exception as error:
        reporter.phase("failed", str(error) or type(error).__name__)
        raise
    if plan_only:
        click.echo(_json(made.to_dict()) if as_json else made.text())
        return EXIT_TOO_LITTLE if made.missing else EXIT_PROMOTED
    verdict = built["verdict"]
    click.echo(
        _json(built) if as_json else "\n".join([f"Molt {built['molt']}: {verdict['verdict']}.", *verdict["reasons"]])
    )
    # The launcher takes any other code for a crash of this process.
    return EXIT_PROMOTED if verdict["verdict"] == "promoted" or processes.count > 1 else EXIT_REJECTED


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, indent=1)


@main.command(epilog="Example: python -m distill ship conversations/ --out identity/molt-0001")
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("identity/molt-0001"), show_default=True)
@click.option(
    "--home", "home_dir", type=click.Path(path_type=Path), help="Where to train; kept, so that it can resume."
)
@click.option("--recipe", default="", help="A name of distill/recipes/, or a TOML file.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting; repeatable.")
def ship(
    *, sources: tuple[Path, ...], out: Path, home_dir: Path | None, recipe: str, settings: tuple[str, ...]
) -> None:
    """Train the molt that a new home starts with, from transcript files, with the sample person's identity files."""
    from distill.ship import ship_first_molt

    try:
        click.echo(ship_first_molt(sources, out, home_dir, load_config(recipe, settings)))
    except MoltingError as error:
        click.echo(f"distill: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
