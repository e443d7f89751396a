"""``molt doctor``: looks the home over and says what to do."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from molting_agent.commands.common import json_option, print_json, print_table, say, with_home

if TYPE_CHECKING:
    from memory.home import Home


@click.command(epilog="Example: molt doctor")
@json_option
@with_home
def doctor(home: "Home", as_json: bool) -> None:
    """Check the home and say what to do; exit code 1 if something failed."""
    from molting_agent.doctor import examine

    findings = examine(home)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        print_table((finding.level, finding.check, finding.fact) for finding in findings)
        for finding in findings:
            if finding.advice and finding.level != "ok":
                say(f"{finding.check}: {finding.advice}")
    click.get_current_context().exit(int(any(finding.level == "failed" for finding in findings)))
