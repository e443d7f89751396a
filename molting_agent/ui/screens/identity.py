"""The Identity screen: the files that say who he is; read them, edit them, see what changed since he was shipped."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from molting_agent.clean import clean
from molting_agent.identity_files import IdentityFile, diff, identity_files, read_file, write_file
from molting_agent.ui.external_editor import edit_outside, editor_command
from molting_agent.ui.screens.editor import Editor
from molting_agent.ui.screens.panel import PanelScreen

DIFF_STYLES = {"+": "$success", "-": "$error", "@": "$accent"}


class IdentityScreen(PanelScreen):
    """A list of files with a reader beside it."""

    BINDING_GROUP_TITLE = "Identity (F6)"
    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e,enter", "edit", "Edit the file", id="identity.edit", key_display="e"),
        Binding("ctrl+g", "edit_outside", "Edit it in $EDITOR", id="identity.editor"),
        Binding("d", "diff", "What changed since he was shipped", id="identity.diff"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.files: list[IdentityFile] = []
        self.as_diff = False

    def compose(self) -> ComposeResult:
        yield self.title_line("Identity")
        yield self.said_line()
        with Container(id="halves"):
            yield OptionList(compact=True)
            with VerticalScroll(id="reader"):
                yield Static(id="text", markup=False)
        yield self.keys_line(("identity.edit", "edit"), ("identity.diff", "changes"), ("identity.editor", "$EDITOR"))

    def on_mount(self) -> None:
        self.files = identity_files(self.molting.home)
        options = [
            Option(Content.assemble((f"{file.name:<14}", "bold"), (file.what, "$foreground-muted")))
            for file in self.files
        ]
        self.query_one(OptionList).set_options(options)
        self.query_one(OptionList).highlighted = 0
        self.show()

    @property
    def current(self) -> IdentityFile:
        """The file under the cursor."""
        return self.files[self.query_one(OptionList).highlighted or 0]

    @on(OptionList.OptionHighlighted)
    def show(self) -> None:
        """Read the file, or its changes, in the background."""
        file, as_diff = self.current, self.as_diff

        def arrived(text: str) -> None:
            if self.current is file and self.as_diff == as_diff:
                self.query_one("#text", Static).update(diff_text(text) if as_diff else Content(text))
                self.query_one("#reader").scroll_home(animate=False)
                words = len(text.split())
                self.say(
                    f"{file.path}" if as_diff else f"{file.path}, {words} words; he reads it in a new conversation"
                )

        self.in_background(lambda: _text(file, as_diff), arrived)

    def action_diff(self) -> None:
        self.as_diff = not self.as_diff
        self.show()

    @on(OptionList.OptionSelected)
    def action_edit(self) -> None:
        """Edit it here."""
        file = self.current

        def opened(text: str) -> None:
            keys = "Ctrl+S saves    Esc leaves it"
            self.app.push_screen(Editor(text, file.name, keys), lambda answer: self._save(file, answer or ""))

        self.in_background(lambda: read_file(file), opened)

    def action_edit_outside(self) -> None:
        """Edit it in the person's own editor."""
        if not editor_command():
            self.say("$EDITOR is not set; e edits here.")
            return
        file = self.current
        try:
            text = read_file(file)
        except Exception as error:  # a broken file is said, not raised into the interface
            self.say(str(error))
            return
        edited, why = edit_outside(self.app, text, suffix=".md")
        if why:
            self.say(why)
        elif edited.strip() != text.strip():
            self._save(file, edited)

    def _save(self, file: IdentityFile, text: str) -> None:
        if text:
            self.in_background(lambda: write_file(file, text), lambda _done: self.show())


def _text(file: IdentityFile, as_diff: bool) -> str:
    if not as_diff:
        return clean(read_file(file)) or "This file is not there; e writes it."
    if not file.shipped:
        return "This file is yours alone; none was shipped."
    return clean(diff(file)) or "Nothing has changed since he was shipped."


def diff_text(text: str) -> Content:
    """A unified diff in colours."""
    return Content("\n").join([Content.styled(line, DIFF_STYLES.get(line[:1], "")) for line in text.splitlines()])
