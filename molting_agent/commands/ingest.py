"""``molt ingest``: files, folders and exports into the memory, with a report of what was in them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from memory.errors import UsageError
from molting_agent.commands.common import json_option, open_config, print_json, print_table, say, with_home
from molting_agent.commands.memory import opened
from molting_agent.ingest_text import report_rows, skipped_lines

if TYPE_CHECKING:
    from memory.home import Home
    from memory.transcripts.model import Label
    from memory.values import IngestProgress, IngestReport

SKIPPED_SHOWN = 20


class Progress:
    """Where an ingest stands, shown where there is a bar, and known when it is interrupted."""

    def __init__(self, bar: Any = None) -> None:
        self._bar = bar
        self._tasks: dict[str, Any] = {}
        self.last: dict[str, IngestProgress] = {}

    def __call__(self, now: "IngestProgress") -> None:
        """Note one step; phases are ``reading`` (files) and ``embedding`` (memories)."""
        self.last[now.phase] = now
        if self._bar is not None:
            if now.phase not in self._tasks:
                self._tasks[now.phase] = self._bar.add_task(now.phase, total=now.total or None)
            self._bar.update(self._tasks[now.phase], completed=now.done, total=now.total or None)

    def done(self, phase: str) -> int:
        """How many files or memories of a phase are done."""
        return self.last[phase].done if phase in self.last else 0


@click.command(epilog="Example: molt ingest --discover ~/notes ~/Downloads/export.zip --dry-run")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--discover", is_flag=True, help="Read the logs that Claude Code and OpenClaw keep on this machine too.")
@click.option("--dry-run", is_flag=True, help="Say what is in the files, known or not, and change nothing.")
@click.option(
    "--label",
    type=click.Choice(["normal", "private", "never-train"]),
    default=None,
    help="never-train is remembered, but no molt learns from it; private never leaves this machine either; normal "
    "takes such a mark away. Without this a file keeps the mark it has.",
)
@json_option
@with_home
def ingest(
    home: "Home", paths: tuple[Path, ...], *, discover: bool, dry_run: bool, label: str | None, as_json: bool
) -> None:
    """Read files, folders and zips into the memory: markdown, text, and logs of conversations.

    The logs are those of Claude Code, OpenClaw/pi, claude.ai, ChatGPT, ShareGPT, OpenAI and gptme, known by their
    content. Secrets and personal data in conversations become placeholders. What did not change since the last time is
    not read again; of a log that grew only what is new is read.
    """
    settings = open_config(home).memory
    wanted = list(paths)
    if discover:
        from memory.discover import discover as find_logs

        wanted += find_logs(os.environ)
    if not wanted:
        raise UsageError("nothing to read: give files or folders, or --discover (see: molt ingest --help)")
    interrupted = False
    with opened(home) as memory, progress_bar() as progress:
        try:
            report = memory.ingest(wanted, label=cast("Label | None", label), dry_run=dry_run, on_progress=progress)
        except KeyboardInterrupt:
            if not dry_run:
                count = progress.done("reading")
                say(f"{count:,} files are read and kept whole; the same command goes on from there", err=True)
            raise
        try:
            if not dry_run:
                memory.fill_vectors(progress)
                if notice := memory.take_notice():
                    say(notice, err=True)
        except KeyboardInterrupt:
            interrupted = True
    embedded = progress.done("embedding")
    if as_json:
        print_json({**asdict(report), "embedded": embedded})
    else:
        rules = {"private": len(settings.private), "never-train": len(settings.never_train)}
        print_report(report, embedded, rules)
    if interrupted:
        say("search by words works; the next molt ingest, or the open app, goes on with the vectors", err=True)
        raise KeyboardInterrupt


def print_report(report: "IngestReport", embedded: int, rules: dict[str, int]) -> None:
    """The counts of an ingest, what was taken out or left out, and what was skipped and why."""
    if report.dry_run:
        click.echo("Nothing was changed; this is what is in the files:")
    print_table(report_rows(report, embedded=embedded, rules=rules))
    for line in skipped_lines(report, SKIPPED_SHOWN):
        print_table([(f"  {line}",)])
    if len(report.skipped) > SKIPPED_SHOWN:
        click.echo(f"  and {len(report.skipped) - SKIPPED_SHOWN:,} more; all of them: --json")


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on a terminal, nothing to see in a pipe."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        yield Progress(bar)
