"""``python -m distill purify``: one rationale a question out of those of several teachers."""

import json
import signal
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from distill.commands.progress_line import ProgressLine
from distill.progress import EXIT_CANCELLED
from distill.purify.protocol import METHODS
from memory.errors import MoltingError
from memory.home import Home


@click.command(epilog="Example: python -m distill purify --home ~/claudio --method keys --right logs")
@click.option("--home", "home_dir", type=click.Path(path_type=Path), required=True, help="The agent's home.")
@click.option("--method", type=click.Choice(METHODS), required=True, help="How one rationale is found.")
@click.option("--teacher", "names", multiple=True, help="Only these of those who answered; repeatable.")
@click.option(
    "--answers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Right answers: a .jsonl file with {"prompt": "...", "answer": "..."} a line.',
)
@click.option("--right", "right_teacher", default="", help="The teacher whose replies are right, such as logs.")
@click.option("--merge", "merging", default="", help="The writing teacher who merges (--method aggregate).")
@click.option("--student/--no-student", default=True, help="Rank equals by what helps the student most; slower.")
@click.option("--model", default="", help="The student's base, by name or path; else the embedded one.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of what is drawn.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write question, teacher, rationale, scores."
)
@click.option("--dry-run", is_flag=True, help="Do not replace what a training would learn; --out is still written.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def purify(
    *,
    home_dir: Path,
    method: str,
    names: tuple[str, ...],
    answers: Path | None,
    right_teacher: str,
    merging: str,
    student: bool,
    model: str,
    seed: int,
    out: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make one rationale a question out of what several teachers gave, and keep it for the next training.

    Learn from it with: molt retrain --recipe rationale --set taught=purified. Who was right is told by --answers, by
    --right, or else by the majority of the teachers. Exit codes: 0 done, 1 failed, 2 wrong usage, 12 stopped.
    """
    stop = threading.Event()
    try:
        from distill.purify.asked import read_right
        from distill.purify.session import Choice
        from distill.purify.session import purify as run

        right = read_right(answers) if answers else None
        choice = Choice(method, names, right, right_teacher, merging, student, model, seed)
        line = ProgressLine()
        if method == "aggregate":
            signal.signal(signal.SIGINT, lambda *_: stop.set())
        # Libraries print what they like; only the result goes to stdout.
        with redirect_stdout(sys.stderr):
            found = run(Home(home_dir), choice, out, dry_run=dry_run, stop=stop, show=line.show)
        line.clear()
    except MoltingError as error:
        click.echo(f"distill: {error}", err=True)
        sys.exit(EXIT_CANCELLED if stop.is_set() else error.exit_code)
    click.echo(json.dumps(found, ensure_ascii=False, indent=1) if as_json else _text(found))


def _text(found: dict[str, Any]) -> str:
    lines = [
        f"{found['questions']:,} questions, {found['choices']:,} of them with two rationales or more",
        f"  right answer known   {found['right_known']:,}",
        f"  right and wrong ones {found['tell_apart']:,}",
        f"  equals ranked        {'by what helps the student' if found['ranked_by_student'] else 'alike'}",
    ]
    lines += [f"  {name:<20} {count:,} rationales" for name, count in found["teachers"].items()]
    for name, share in found["held_out"].items():
        said = "too few to say" if share is None else f"{share:.1%} a right teacher"
        lines.append(f"  held out, {name:<15} {said}")
    if found["kept"]:
        lines.append(f"kept {found['kept']:,}; learn them: molt retrain --recipe rationale --set taught=purified")
    if found["out"]:
        lines.append(f"written to {found['out']}")
    return "\n".join(lines)
