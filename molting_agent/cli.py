"""The command ``molt``: opens the app, or runs one of its commands."""

import os
import sys
from typing import TYPE_CHECKING

import click

from memory.errors import UsageError
from molting_agent.commands.ask import ask
from molting_agent.commands.common import MoltGroup, home_option, open_config, open_home
from molting_agent.commands.completions import completions
from molting_agent.commands.config import config_group
from molting_agent.commands.demo import demo
from molting_agent.commands.doctor import doctor
from molting_agent.commands.export import export
from molting_agent.commands.heartbeat import heartbeat
from molting_agent.commands.identity import identity_group
from molting_agent.commands.ingest import ingest
from molting_agent.commands.lab import lab_group
from molting_agent.commands.memory_review import memory_group
from molting_agent.commands.models import models_group
from molting_agent.commands.molts import molts_group
from molting_agent.commands.rebuild import rebuild
from molting_agent.commands.recall import recall
from molting_agent.commands.retrain import retrain
from molting_agent.commands.sessions import sessions_group

if TYPE_CHECKING:
    from memory.home import Home


@click.group(
    cls=MoltGroup,
    name="molt",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: molt",
)
@click.version_option(package_name="molting", message="%(prog)s %(version)s")
@home_option
@click.pass_context
def main(context: click.Context) -> None:
    """Talk with Cláudio, who lives on this machine, remembers, and molts.

    Without a command the terminal app opens; the first run makes a home.
    """
    context.obj = open_app  # for demo: the commands stand below the app
    if context.invoked_subcommand is not None:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the app needs a terminal; in a script use: molt ask TEXT")
    context.exit(open_app(open_home()))


def open_app(home: "Home") -> int:
    """Run the app on a home until the person leaves; gives the exit code. Errors: UsageError on a dumb terminal."""
    if os.environ.get("TERM") in ("", "dumb"):
        raise UsageError("this terminal cannot move its cursor (TERM=dumb); here use: molt ask TEXT")
    config = open_config(home)
    from molting_agent.ui.app import run

    return run(home, config)


for command in (
    ask,
    ingest,
    recall,
    memory_group,
    retrain,
    molts_group,
    lab_group,
    identity_group,
    models_group,
    sessions_group,
    export,
    doctor,
    config_group,
    completions,
    demo,
    heartbeat,
):
    main.add_command(command)
memory_group.add_command(rebuild)
