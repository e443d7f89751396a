"""The Settings screen: every field of config.toml with what it means; a wrong value is said before it is written."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from molting_agent.clean import clean
from molting_agent.setting import Setting, parse_value, settings, shown
from molting_agent.ui.screens.ask_line import AskLine
from molting_agent.ui.screens.panel import PanelScreen

NOW = ("ui.theme",)
"""What changes at once; the model and the memory read their settings when the app starts."""


class SettingsScreen(PanelScreen):
    """A list of settings, changed ones first marked with a star; Enter changes one."""

    BINDING_GROUP_TITLE = "Settings (F7)"
    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "change", "Change the setting", id="settings.change"),
        Binding("d", "default", "Back to its default", id="settings.default"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.settings: list[Setting] = []

    def compose(self) -> ComposeResult:
        yield self.title_line("Settings")
        yield self.said_line()
        with Container(id="halves"):
            yield OptionList(compact=True)
            with VerticalScroll(id="reader"):
                yield Static(id="text", markup=False)
        yield self.keys_line(("settings.change", "change"), ("settings.default", "default"))

    def on_mount(self) -> None:
        self.load()

    def load(self, said: str = "") -> None:
        """Read the file anew; ``said`` stands above the list afterwards."""
        home = self.molting.home

        def work() -> list[Setting]:
            from molting_agent.config import load_config

            return list(settings(load_config(home)))

        def arrived(found: list[Setting]) -> None:
            self._show(found, said)

        self.in_background(work, arrived)

    def _show(self, found: list[Setting], said: str) -> None:
        listing = self.query_one(OptionList)
        at = listing.highlighted or 0
        self.settings = found
        width = max(len(one.key) for one in found) + 2
        listing.set_options([Option(setting_line(one, width)) for one in found])
        listing.highlighted = at
        self.say(said or f"{self.molting.home.config_file}")
        self._read()

    @on(OptionList.OptionHighlighted)
    def moved(self) -> None:
        self._read()

    @property
    def current(self) -> Setting | None:
        """The setting under the cursor."""
        index = self.query_one(OptionList).highlighted
        return self.settings[index] if index is not None and index < len(self.settings) else None

    def _read(self) -> None:
        one = self.current
        self.query_one("#text", Static).update(setting_text(one) if one else Content(""))

    @on(OptionList.OptionSelected)
    def action_change(self) -> None:
        """Ask for another value."""
        one = self.current
        if one is None:
            return

        def answered(text: str | None) -> None:
            if text is not None:
                self._write(one.key, text)

        title = f"{one.key}: {one.allowed}"
        self.app.push_screen(AskLine(title, one.meaning, shown(one.value)), answered)

    def action_default(self) -> None:
        """Write the default."""
        if self.current is not None:
            self._write(self.current.key, shown(self.current.default))

    def _write(self, key: str, text: str) -> None:
        home = self.molting.home

        def work() -> None:
            from molting_agent.config import set_value

            set_value(home, key, parse_value(key, text))

        def written(_done: None) -> None:
            if key == "ui.theme":
                self.molting.choose_theme(text.strip())
            when = "" if key in NOW else "; it counts from the next start"
            self.load(f"{key} is {text.strip() or 'empty'}{when}")

        self.in_background(work, written)


def setting_line(one: Setting, width: int) -> Content:
    """``* model.temperature   0.5``"""
    mark = ("* ", "$primary") if one.is_changed else ("  ", "")
    return Content.assemble(mark, (f"{one.key:<{width}}", ""), (clean(shown(one.value)) or "empty", "$accent"))


def setting_text(one: Setting) -> Content:
    """What it means, what may stand there, and what it was made with."""
    rows = [("now", shown(one.value) or "empty"), ("default", shown(one.default) or "empty"), ("allowed", one.allowed)]
    lines = [Content.assemble((f"{name:<9}", "$foreground-muted"), clean(value)) for name, value in rows]
    return Content("\n").join([Content.styled(one.key, "bold"), Content(""), Content(one.meaning), Content(""), *lines])
