"""``molt lab``: hypotheses as experiments, run by the school in a process of its own."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from molting_agent.commands.common import MoltGroup, home_option, json_option, open_config, say, with_home
from molting_agent.commands.school import run_school

if TYPE_CHECKING:
    from memory.home import Home

quick_option = click.option("--quick", is_flag=True, help="The small size: little data, one seed, some minutes.")


@click.group(cls=MoltGroup, name="lab", epilog="Example: molt lab run h009 --quick")
@home_option
def lab_group() -> None:
    """Hypotheses as experiments: list them, run one, read its report."""


@lab_group.command(epilog="Example: molt lab ls")
@json_option
@with_home
def ls(home: "Home", as_json: bool) -> None:
    """List the experiments, and what came out of those that ran in this home."""
    _school(home, "ls", as_json=as_json)


@lab_group.command(epilog="Example: molt lab run h009 --quick")
@click.argument("name")
@quick_option
@click.option("--plan", "plan_only", is_flag=True, help="Say how long it will take, and run nothing.")
@click.option("--fresh", is_flag=True, help="Forget what was measured before and begin anew.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of CommonsenseQA, for the experiment that learns it.",
)
@json_option
@with_home
def run(
    home: "Home", *, name: str, quick: bool, plan_only: bool, fresh: bool, data: Path | None, as_json: bool
) -> None:
    """Run an experiment, or go on with it where it was stopped (Ctrl+C); NAME is one of ls, or a TOML file."""
    given = [("--quick", quick), ("--plan", plan_only), ("--fresh", fresh)]
    options = [option for option, is_given in given if is_given]
    options += ["--data", str(data.absolute())] if data else []
    _school(home, "run", name, *options, "--model", open_config(home).model.name, as_json=as_json)


@lab_group.command(epilog="Example: molt lab report h009 --quick")
@click.argument("name")
@quick_option
@json_option
@with_home
def report(home: "Home", *, name: str, quick: bool, as_json: bool) -> None:
    """What an experiment has found so far: verdict, table, plot."""
    _school(home, "report", name, *(["--quick"] if quick else []), as_json=as_json)


def _school(home: "Home", *arguments: str, as_json: bool) -> None:
    """What the school says on the way is shown as it comes."""
    asked = ["lab", *arguments, "--home", str(home.root), *(["--json"] if as_json else [])]
    if printed := run_school(*asked, show_log=True):
        say(printed)
