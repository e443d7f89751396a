"""``molt lab``: hypotheses as experiments, run by the school in a process of its own."""

import subprocess
import sys
from typing import TYPE_CHECKING

import click

from molting_agent.commands.common import MoltGroup, home_option, json_option, open_config, with_home

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
@json_option
@with_home
def run(home: "Home", *, name: str, quick: bool, plan_only: bool, fresh: bool, as_json: bool) -> None:
    """Run an experiment, or go on with it where it was stopped (Ctrl+C); NAME is one of ls, or a TOML file."""
    given = [("--quick", quick), ("--plan", plan_only), ("--fresh", fresh)]
    options = [option for option, is_given in given if is_given]
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
    """Leave the terminal to the child, and end as it ends."""
    command = [sys.executable, "-P", "-m", "distill", "lab", *arguments, "--home", str(home.root)]
    child = subprocess.Popen([*command, *(["--json"] if as_json else [])], stdin=subprocess.DEVNULL)
    try:
        code = child.wait()
    except KeyboardInterrupt:
        code = child.wait()  # it was interrupted too: it writes its checkpoint and says how to go on
    sys.exit(code)
