"""``molt recall``: what comes out of the memory for a question, with its place and score."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from molting_agent.commands.common import json_option, open_config, print_json, say, shorten, with_home
from molting_agent.commands.memory import opened

if TYPE_CHECKING:
    from memory.home import Home


@click.command(epilog='Example: molt recall "when do the backups run"')
@click.argument("query", nargs=-1, required=True)
@click.option("-k", "k", type=click.IntRange(1, 50), default=None, help="At most this many; else as in config.toml.")
@click.option("--explain", is_flag=True, help="Show what each score is made of.")
@json_option
@with_home
def recall(home: "Home", query: tuple[str, ...], k: int | None, explain: bool, as_json: bool) -> None:
    """Show what would be remembered for QUERY, best first, each with its place."""
    settings = open_config(home).memory
    with opened(home) as memory:
        memory.sync()
        wanted = k or settings.k or 5
        # Here a person looks, so that the number asked for counts and not the budget of a prompt.
        found = memory.recall(" ".join(query), k=wanted, budget_tokens=max(settings.budget_tokens, 200 * wanted))
    if as_json:
        print_json([asdict(one) for one in found])
    elif not found:
        click.echo("Nothing fits.", err=True)
    for one in [] if as_json else found:
        click.echo(f"{one.score:.2f}  ", nl=False)
        say(f"{one.citation}  [{one.id}]")
        say(f"      {shorten(one.text, 400)}")
        if explain:
            parts = "  ".join(f"{name} {value:.3f}" for name, value in one.parts.items())
            say(f"      {parts}  trust {one.trust}  label {one.label}  from {one.source}")
