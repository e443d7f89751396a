"""``molt heartbeat``: one round through HEARTBEAT.md without the app, for a timer of the person's own."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from molting_agent.commands.common import json_option, open_config, print_json, say, with_home

if TYPE_CHECKING:
    from memory.home import Home
    from molting_agent.agent import Agent


@click.command(epilog="Example: molt heartbeat")
@click.option("--log", "only_log", is_flag=True, help="Only show what he did alone, here and in the app.")
@json_option
@with_home
def heartbeat(home: "Home", *, only_log: bool, as_json: bool) -> None:
    """Work through HEARTBEAT.md once: each item is answered from memory, and the answers stand in the log.

    It holds for active hours only in the app; called here, a round runs at once.
    """
    from molting_agent.alone_log import deed_line, deeds
    from molting_agent.heartbeat import run_round

    config = open_config(home)

    def make() -> "Agent":
        from molting_agent.agent import Agent

        return Agent(home, config)

    found = deeds(home) if only_log else run_round(home, make, lambda: datetime.now().astimezone())
    if as_json:
        print_json([asdict(deed) for deed in found])
        return
    for deed in found:
        say(deed_line(deed))
