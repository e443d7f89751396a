"""The status line at the bottom."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from molting_agent.ui.status_text import StatusFields, status_line


class StatusLine(Widget):
    """Draws ``fields`` for its own width."""

    fields: reactive[StatusFields] = reactive(StatusFields())

    def __init__(self) -> None:
        super().__init__(id="status")

    def render(self) -> Content:
        return status_line(self.fields, self.content_size.width)
