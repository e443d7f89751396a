"""``python -m distill conflict``: how far the teachers of a home contradict each other."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from distill.commands.progress_line import ProgressLine
from memory.errors import MoltingError
from memory.home import Home


@click.command(epilog="Example: python -m distill conflict --home ~/claudio --teacher opus --teacher llama")
@click.option("--home", "home_dir", type=click.Path(path_type=Path), required=True, help="The agent's home.")
@click.option("--teacher", "names", multiple=True, help="Only these of those who answered; repeatable.")
@click.option("--topics", type=click.IntRange(min=1), help="How many topics; default: one for 8 questions, at most 8.")
@click.option(
    "--agrees",
    type=click.FloatRange(0, 1),
    help="Token F1 from which two free answers count as the same; default: 0.3.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def conflict(
    *, home_dir: Path, names: tuple[str, ...], topics: int | None, agrees: float | None, as_json: bool
) -> None:
    """Compare what teachers answered to the same questions: answers, rationales and style, by teacher and by topic.

    Letters and yes or no are compared exactly, free text by its words. Asks nobody; the answers are those that
    python -m distill teach collected.
    """
    try:
        from distill.purify.answers import AGREES_F1
        from distill.purify.asked import asked_of
        from distill.purify.embedding import embed_with
        from distill.purify.measure import measure

        home = Home(home_dir)
        line = ProgressLine()
        # Libraries print what they like; only the result goes to stdout.
        with redirect_stdout(sys.stderr):
            asked = asked_of(home, names)
            agrees_f1 = AGREES_F1 if agrees is None else agrees
            found = measure(asked, embed_with(home, line.show), agrees_f1=agrees_f1, topics=topics or 0)
        line.clear()
    except MoltingError as error:
        click.echo(f"distill: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=1) if as_json else found.text())
