"""The Molts screen: his line of molts as a log, the report of each, promote and roll back."""

import json
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Markdown, OptionList
from textual.widgets.option_list import Option

from distill.progress import sparkline
from molting_agent.clean import clean, clean_line
from molting_agent.ui.reply_text import ReplyText
from molting_agent.ui.screens.panel import PanelScreen
from molting_agent.ui.status_text import training_text

if TYPE_CHECKING:
    from distill.registry import Molt

WATCH_S = 1.0
LOSS_CELLS = 32
BASE_REPORT = (
    "## Molt 0: the base\n\nThe model as it was published, before he was put into it. It can always speak again."
)
MARKS = {"promoted": ("✓", "$success"), "rejected": ("×", "$error"), "kept": ("·", "$foreground-muted")}


class MoltsScreen(PanelScreen):
    """The newest molt stands first; ``●`` marks the one that speaks."""

    BINDING_GROUP_TITLE = "Molts (F3)"
    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "promote", "Let this molt speak", id="molts.promote"),
        Binding("b", "rollback", "Back to the molt before", id="molts.rollback"),
        Binding("c", "compare", "Compare it with the one it was judged against", id="molts.compare"),
        Binding("n", "pin", "Pin the molt that speaks, or release it", id="molts.pin"),
        Binding("t", "retrain", "Retrain", id="molts.retrain"),
        Binding("space", "hold", "Pause a retraining, or let it go on", id="molts.hold"),
        Binding("x", "cancel", "Stop a retraining, with a checkpoint", id="molts.cancel"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.molts: list[Molt] = []
        self.pinned = False
        self.about = ""

    def compose(self) -> ComposeResult:
        yield self.title_line("Molts")
        yield self.said_line()
        with Container(id="halves"):
            yield OptionList(compact=True)
            with VerticalScroll(id="reader"):
                yield ReplyText()
        yield self.keys_line(
            ("molts.promote", "let it speak"),
            ("molts.rollback", "roll back"),
            ("molts.compare", "compare"),
            ("molts.retrain", "retrain"),
            ("molts.pin", "pin"),
            ("molts.hold", "pause"),
            ("molts.cancel", "stop"),
        )

    def on_mount(self) -> None:
        self.load()
        self.set_interval(WATCH_S, self.watch_training)

    def awoke(self) -> None:
        self.load()

    def watch_training(self) -> None:
        """A retraining moves on while the person looks."""
        if self.about:
            self.show_training()

    def load(self) -> None:
        """Read the registry in the background."""
        agent = self.molting.agent
        if agent is None:
            self.say("He is still waking up.")
            return
        base = agent.model.source_sha256 if agent.model else ""

        def work() -> "tuple[list[Molt], bool]":
            return agent.registry.list(base), agent.registry.is_pinned(base)

        self.in_background(work, lambda found: self._arrived(*found))

    def _arrived(self, molts: "list[Molt]", pinned: bool) -> None:
        self.pinned = pinned
        agent = self.molting.agent
        if agent is None:
            return
        speaking = agent.status.molt
        self.molts = sorted(molts, key=lambda molt: molt.number, reverse=True)
        options = [
            Option(molt_line(molt, speaking=molt.number == speaking), id=str(molt.number)) for molt in self.molts
        ]
        options.append(Option(base_line(speaking=speaking == 0), id="0"))
        listing = self.query_one(OptionList)
        listing.set_options(options)
        numbers = [molt.number for molt in self.molts] + [0]
        listing.highlighted = numbers.index(speaking) if speaking in numbers else 0
        count = f"{len(molts)} {'molt' if len(molts) == 1 else 'molts'} of this base"
        speaks = f"{f'molt {speaking}' if speaking else 'The base'} speaks{', pinned' if pinned else ''}; {count}"
        self.about = speaks
        self.show_training()

    def show_training(self) -> None:
        """The line above the list: who speaks, and how far a retraining is."""
        state = self.molting.training.state
        self.say(self.about if state is None else f"{self.about}; {training_text(state)}")

    @property
    def current(self) -> int | None:
        """The number under the cursor."""
        listing = self.query_one(OptionList)
        if listing.highlighted is None:
            return None
        return int(listing.get_option_at_index(listing.highlighted).id or 0)

    @on(OptionList.OptionHighlighted)
    def moved(self) -> None:
        """Show the report of the molt under the cursor."""
        number = self.current
        if number is None:
            return
        molt = next((molt for molt in self.molts if molt.number == number), None)

        async def arrived(text: str) -> None:
            if self.current == number:
                await self.query_one(ReplyText).update(text)
                self.query_one("#reader").scroll_home(animate=False)

        self.in_background(lambda: report_of(molt), arrived)

    @on(Markdown.LinkClicked)
    def link_clicked(self, event: Markdown.LinkClicked) -> None:
        event.stop()

    def action_promote(self) -> None:
        """Let the molt under the cursor speak; the conversation says so."""
        number = self.current
        if number is not None:
            self.dismiss(None)
            self.molting.chat.promote(number)

    @on(OptionList.OptionSelected)
    def selected(self) -> None:
        self.query_one("#reader").focus()

    def action_rollback(self) -> None:
        self.dismiss(None)
        self.molting.chat.rollback()

    def action_compare(self) -> None:
        """The ceremony of the molt under the cursor."""
        number = self.current
        if number:
            self.dismiss(None)
            self.molting.choice.open(number)
        else:
            self.say("The base was not judged against another.")

    def action_pin(self) -> None:
        """Keep the molt that speaks whatever a retraining brings, or let it be replaced again."""
        agent = self.molting.agent
        if agent is None or agent.model is None:
            return
        base, wanted = agent.model.source_sha256, not self.pinned
        self.in_background(lambda: agent.registry.pin(base, wanted), lambda _number: self.load())

    def action_hold(self) -> None:
        self.molting.training.toggle_pause()
        self.show_training()

    def action_cancel(self) -> None:
        self.molting.training.cancel()
        self.say("The retraining stops at its next step and keeps a checkpoint; t goes on from there.")

    async def action_retrain(self) -> None:
        self.dismiss(None)
        await self.molting.training.start(None)


def report_of(molt: "Molt | None") -> str:
    """``report.md`` of a molt, or the little that its manifest says."""
    if molt is None:
        return BASE_REPORT
    try:
        title, _, rest = clean((molt.path / "report.md").read_text(encoding="utf-8")).partition("\n")
        return f"{title}\n\n{loss_line(molt)}\n\n{rest}"
    except (OSError, UnicodeDecodeError):
        return f"## Molt {molt.number}\n\n{clean(molt.title)}\n\nIts report.md is missing."


def loss_line(molt: "Molt") -> str:
    """``loss ▇▅▃▂ 3.57 in the first tenth, 2.60 in the last``, from its report; "" when it tells no losses."""
    try:
        losses = json.loads((molt.path / "report.json").read_text(encoding="utf-8"))["training"]["losses"]
        tenth = max(1, len(losses) // 10)
        first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
        return f"loss {sparkline(losses, LOSS_CELLS)} {first:.2f} in the first tenth, {last:.2f} in the last"
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return ""


def molt_line(molt: "Molt", *, speaking: bool) -> Content:
    """``● 3 ✓ promoted  2026-02-08  what it was trained from``"""
    mark, colour = MARKS.get(molt.verdict, ("·", "$foreground-muted"))
    return Content.assemble(
        ("● " if speaking else "  ", "$primary"),
        (f"{molt.number:>3} ", "bold"),
        (f"{mark} ", colour),
        (f"{clean_line(molt.verdict):<9}", colour),
        (f" {clean_line(molt.created_at)[:10]}  ", "$accent"),
        clean_line(molt.title),
    )


def base_line(*, speaking: bool) -> Content:
    """The line of molt 0."""
    return Content.assemble(
        ("● " if speaking else "  ", "$primary"), ("  0 ", "bold"), ("the base, as published", "$foreground-muted")
    )
