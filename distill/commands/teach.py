"""``python -m distill teach``: collects replies and rationales from teachers; what is interrupted goes on."""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.progress import EXIT_CANCELLED, EXIT_FAILED, EXIT_PROMOTED
from memory.errors import MoltingError
from memory.home import Home

if TYPE_CHECKING:
    from distill.teachers.collect import Tally
    from distill.teachers.session import Gathered, Session


@click.command(epilog="Example: python -m distill teach --home ~/claudio --teacher logs --teacher opus --dry-run")
@click.option("--home", "home_dir", type=click.Path(path_type=Path), required=True, help="The agent's home.")
@click.option(
    "--teacher", "names", multiple=True, required=True, help="logs, embedded, or a name of [teachers]; repeatable."
)
@click.option(
    "--prompts",
    "prompts_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="More questions: a text file with one a line, or .jsonl.",
)
@click.option("--only-prompts", is_flag=True, help="Ask the questions of --prompts alone, none of the conversations.")
@click.option("--limit", type=click.IntRange(min=1), help="Only so many questions, spread over all; always the same.")
@click.option("--budget-tokens", type=click.IntRange(min=1), help="Stop before more tokens (in and out) are spent.")
@click.option("--dry-run", is_flag=True, help="Ask nobody; say what it would cost.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def teach(
    *,
    home_dir: Path,
    names: tuple[str, ...],
    prompts_file: Path | None,
    only_prompts: bool,
    limit: int | None,
    budget_tokens: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Have teachers answer the person's questions, and keep every answer at once in HOME/teachers/NAME.

    Only conversations on the training side are asked about. Nothing private leaves the machine, and what does leave it
    is scrubbed. Run it again and only what is not answered yet is asked.

    Exit codes: 0 done or the budget is spent, 1 a teacher failed, 2 wrong usage, 12 stopped (run it again).
    """
    stop = threading.Event()
    try:
        if only_prompts and prompts_file is None:
            raise click.UsageError("--only-prompts needs --prompts FILE")
        from distill.teachers.session import Session, gather

        home = Home(home_dir)
        gathered = gather(home, prompts_file=prompts_file, conversations=not only_prompts, limit=limit or 0)
        session = Session(home, list(dict.fromkeys(names)), gathered, stop)
        if dry_run:
            code = _say_estimates(session, gathered, budget_tokens or 0, as_json)
        else:
            _stop_on_signals(stop)
            code = _run(session, gathered, budget_tokens or 0, as_json, stop)
    except MoltingError as error:
        click.echo(f"distill: {error}", err=True)
        code = error.exit_code
    sys.exit(code)


def _stop_on_signals(stop: threading.Event) -> None:
    """The first Ctrl+C lets the answers under way arrive, the second leaves at once: all that came is on disk."""

    def heed(_number: int, _frame: Any) -> None:
        if stop.is_set():
            os._exit(EXIT_CANCELLED)
        stop.set()
        click.echo("\nstopping after the answers under way; Ctrl+C again leaves at once", err=True)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, heed)


def _say_estimates(session: "Session", gathered: "Gathered", budget_tokens: int, as_json: bool) -> int:
    found = session.estimates(budget_tokens)
    if as_json:
        teachers = [{**one.to_dict(), "known": tally.known, "left_out": dict(tally.left_out)} for one, tally in found]
        _say_json(gathered, teachers)
    else:
        click.echo("\n\n".join([one.text(tally) for one, tally in found]))
        _say_left_out(gathered)
    return EXIT_PROMOTED


def _run(session: "Session", gathered: "Gathered", budget_tokens: int, as_json: bool, stop: threading.Event) -> int:
    progress = _Line()
    tallies = session.run(budget_tokens, progress.show)
    progress.clear()
    if as_json:
        _say_json(gathered, [tally.to_dict() for tally in tallies])
    else:
        for tally in tallies:
            click.echo(_report(tally))
        _say_left_out(gathered)
    for tally in tallies:
        if tally.error:
            click.echo(f"distill: {tally.error}", err=True)
    if any(tally.error for tally in tallies):
        return EXIT_FAILED
    return EXIT_CANCELLED if stop.is_set() else EXIT_PROMOTED


class _Line:
    """One line on a terminal that says how far it is; silent where stderr is none."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def show(self, tally: "Tally") -> None:
        if self._shown:
            waits = f", {tally.waits} waits" if tally.waits else ""
            text = (
                f"{tally.teacher}  {tally.stored} of {tally.stored + tally.left} answered, {tally.known} before  "
                f"{tally.tokens_in:,} tokens in, {tally.tokens_out:,} out{waits}"
            )
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[2K")


def _report(tally: "Tally") -> str:
    """What came of one teacher, for a person; what is zero is not said."""
    lines = [f"{tally.teacher}{f' ({tally.model})' if tally.model not in ('', tally.teacher) else ''}"]
    counts = {
        "answered": tally.stored,
        "before": tally.known,
        "repaired": tally.repaired,
        "unparsed": tally.unparsed,
        "cut": tally.cut,
        "refused": tally.refused,
        "not asked": tally.left,
        "torn lines": tally.set_aside,
    }
    lines += [f"  {name:<11} {count:,}" for name, count in counts.items() if count or name == "answered"]
    lines += [f"  never asked {count:,}: {reason}" for reason, count in tally.left_out.most_common()]
    lines += [f"  no answer   {count:,}: {reason}" for reason, count in tally.failed.most_common()]
    if tally.tokens_in:
        lines.append(
            f"  tokens      {tally.tokens_in:,} in ({tally.cached_tokens:,} of them cached), {tally.tokens_out:,} out"
        )
    if tally.usd:
        lines.append(f"  dollars     {tally.usd:,.2f} (cached tokens at the full price)")
    if tally.stopped:
        lines.append(f"  stopped     {tally.stopped}")
    return "\n".join(lines)


def _say_left_out(gathered: "Gathered") -> None:
    if gathered.left_out:
        click.echo("\nturns of the person that are no questions")
        for reason, count in gathered.left_out.most_common():
            click.echo(f"  {count:>6,} {reason}")


def _say_json(gathered: "Gathered", teachers: list[dict[str, Any]]) -> None:
    values = {
        "questions": len(gathered.questions),
        "no_questions": dict(gathered.left_out),
        "teachers": teachers,
    }
    click.echo(json.dumps(values, ensure_ascii=False, indent=1))
