"""``python -m distill dataset``: writes what a retraining would learn from, with its card."""

import json
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from distill.config import DEFAULT_RECIPE, load_config
from memory.errors import MoltingError, UsageError
from memory.home import Home


@click.command(epilog="Example: python -m distill dataset --home ~/claudio --out lessons --set identity_share=0.3")
@click.argument("sources", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--home", "home_dir", type=click.Path(path_type=Path), help="The agent's home; or give SOURCES.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The dataset's folder; default: HOME/datasets/<the recipe's name>."
)
@click.option("--recipe", default="", help="A name of distill/recipes/, or a TOML file.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting; repeatable.")
@click.option("--model", default="", help="The base whose template and tokens are used; else the embedded one.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def dataset(
    *,
    sources: tuple[Path, ...],
    home_dir: Path | None,
    out: Path | None,
    recipe: str,
    settings: tuple[str, ...],
    model: str,
    as_json: bool,
) -> None:
    """Write what a retraining would learn from: examples.parquet, pairs.parquet, dataset.json and dataset.md.

    From the conversations of a home, or from transcript files (SOURCES) with the sample person's identity. Only
    datasets under HOME/datasets follow when something is forgotten.
    """
    try:
        if bool(sources) == bool(home_dir):
            raise UsageError("give --home HOME, or transcript files and --out FOLDER")
        if sources and out is None:
            raise UsageError("say where to write the dataset: --out FOLDER")
        config = load_config(recipe, settings)
        from distill.lesson_rows import write_dataset
        from distill.ship import first_home

        with tempfile.TemporaryDirectory(prefix="molting-dataset-") as folder:
            home = Home(home_dir) if home_dir else first_home(sources, Path(folder))
            if not home.identity_dir.is_dir():
                raise UsageError(f"{home.root} is no home; make one first: molt --home {home.root}")
            place = (out or home.datasets_dir / Path(recipe or DEFAULT_RECIPE).stem).absolute()
            # Libraries print what they like; only the result goes to stdout.
            with redirect_stdout(sys.stderr):
                figures = write_dataset(home, place, config, model_name=model)
    except MoltingError as error:
        click.echo(f"distill: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(
            f"distill: {error.filename or out or home_dir}: {error.strerror}; the dataset was not written", err=True
        )
        sys.exit(1)
    click.echo(
        json.dumps({"out": str(place), **figures}, ensure_ascii=False, indent=1) if as_json else _line(place, figures)
    )


def _line(place: Path, figures: dict[str, Any]) -> str:
    sides, whole = figures["splits"], figures["all"]
    heldout = sides["heldout"]["conversations"] + sides["heldout_newest"]["conversations"]
    return (
        f"{place}: {whole['replies']:,} replies in {whole['conversations']:,} conversations "
        f"({heldout:,} held out), {sum(figures['pairs'].values()):,} pairs; read {place / 'dataset.md'}"
    )
