"""The Ingest screen: what is in a path is shown first, then read into the memory with a line of progress."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from memory.errors import UsageError
from molting_agent.clean import clean
from molting_agent.ingest_text import report_rows, skipped_lines
from molting_agent.ui.background import Deliver, in_background
from molting_agent.ui.screens.panel import PanelScreen
from molting_agent.ui.status_text import bar

if TYPE_CHECKING:
    from memory.values import IngestProgress, IngestReport

SKIPPED_SHOWN = 40
BAR_CELLS = 20
LABELS = ("", "private", "never-train", "normal")


class IngestScreen(PanelScreen):
    """Enter looks (nothing changes), Ctrl+S reads in what was looked at."""

    BINDING_GROUP_TITLE = "Ingest (F5)"
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "look", "Look what is there", id="ingest.look"),
        Binding("ctrl+l", "discover", "Find the logs of other programs", id="ingest.discover", priority=True),
        Binding("ctrl+t", "label", "Change the label they get", id="ingest.label", priority=True),
        Binding("ctrl+s", "ingest", "Read them into the memory", id="ingest.ingest", priority=True),
    ]

    def __init__(self, paths: str = "") -> None:
        super().__init__()
        self.typed = paths
        self.looked_at: list[Path] = []
        """What the table on the screen is about; only this can be read in."""
        self.label = ""
        self.working = False

    def compose(self) -> ComposeResult:
        yield self.title_line("Ingest")
        yield Input(self.typed, placeholder="Files, folders or exports; quote a path with blanks", compact=True)
        yield self.said_line()
        with VerticalScroll(id="reader"):
            yield Static(id="text", markup=False)
        yield self.keys_line(
            ("ingest.look", "look"),
            ("ingest.ingest", "read in"),
            ("ingest.discover", "find logs"),
            ("ingest.label", "label"),
        )

    def on_mount(self) -> None:
        self.say("Nothing is read before you have seen what is there.")
        if self.typed:
            self.action_look()

    @on(Input.Submitted)
    def action_look(self) -> None:
        """A dry run over the typed paths."""
        try:
            words = shlex.split(self.query_one(Input).value)
        except ValueError:
            words = [self.query_one(Input).value]
        self._look([Path(word).expanduser() for word in words])

    def action_discover(self) -> None:
        """A dry run over the logs that other programs keep here."""
        from memory.discover import discover

        try:
            paths = discover(os.environ)
        except UsageError as error:
            self.say(str(error))
            return
        self.query_one(Input).value = " ".join(shlex.quote(str(path)) for path in paths)
        self._look(paths)

    def action_label(self) -> None:
        """The next label; it holds for what is read in from now on."""
        self.label = LABELS[(LABELS.index(self.label) + 1) % len(LABELS)]
        self.say(f"Label: {self.label or 'as the files have it'}")

    def _look(self, paths: list[Path]) -> None:
        if not paths:
            self.say("Give a path, or Ctrl+L finds the logs of Claude Code and OpenClaw.")
        elif missing := [path for path in paths if not path.exists()]:
            self.say(f"{missing[0]}: no such file or folder")
        else:
            self._run(paths, dry_run=True)

    def action_ingest(self) -> None:
        """Read in what was looked at."""
        if self.looked_at:
            self._run(self.looked_at, dry_run=False)
        else:
            self.say("Look first: type a path and press Enter.")

    def _run(self, paths: list[Path], *, dry_run: bool) -> None:
        agent = self.molting.agent
        if agent is None or self.working:
            self.say("He is still waking up." if agent is None else "One thing after the other; this is still running.")
            return
        self.working = True
        self.say("looking …" if dry_run else "reading …")

        def progress(now: "IngestProgress") -> None:
            self.app.post_message(Deliver(lambda: self._progress(now)))

        def work() -> "tuple[IngestReport, int]":
            label = None if not self.label else self.label
            report = agent.memory.ingest(paths, label=label, dry_run=dry_run, on_progress=progress)  # type: ignore[arg-type]
            return report, 0 if dry_run else agent.memory.fill_vectors(progress)

        def failed(line: str) -> None:
            self.working = False
            self.say(line)

        in_background(self.app, work, then=lambda result: self._arrived(paths, *result), failed=failed)

    def _progress(self, now: "IngestProgress") -> None:
        if self.is_open and self.working:
            share = now.done / now.total if now.total else 0.0
            self.say(f"{now.phase} {bar(share, BAR_CELLS)} {now.done:,} of {now.total:,} {Path(now.name).name}")

    async def _arrived(self, paths: list[Path], report: "IngestReport", embedded: int) -> None:
        self.working = False
        if not report.dry_run:
            await self.molting.chat.note(
                f"Read in: {report.conversations:,} conversations, {report.memories:,} new memories.", "receipt"
            )
        if not self.is_open:
            return
        self.looked_at = paths if report.dry_run else []
        self.query_one("#text", Static).update(report_text(report, embedded))
        self.say("Nothing was changed yet; Ctrl+S reads it in." if report.dry_run else "Read in.")


def report_text(report: "IngestReport", embedded: int) -> Content:
    """The table of a report, then what was skipped."""
    rows = [
        Content.assemble((f"{name:<14}", "$foreground-muted"), clean(value))
        for name, value in report_rows(report, embedded=embedded)
    ]
    return Content("\n").join([*rows, Content(""), *(Content(clean(x)) for x in skipped_lines(report, SKIPPED_SHOWN))])
