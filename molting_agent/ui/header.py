"""The line at the top: who speaks, as which molt, on which model."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from molting_agent.clean import clean


def header_line(name: str, molt: int | None, model: str, *, width: int) -> Content:
    """``Cláudio        molt 7 ✓  SmolLM2-135M``; a narrow line drops the model. Molt None: still loading."""
    left = Content.styled(clean(name), "bold $primary")
    if molt is None:
        right = Content.styled("waking up …", "$foreground-muted")
    else:
        spoken = Content.assemble(f"molt {molt} ", ("✓", "$success")) if molt else Content("molt 0, the base")
        full = Content.assemble(spoken, (f"   {clean(model)}", "$foreground-muted")) if model else spoken
        right = full if left.cell_length + full.cell_length + 3 <= width else spoken
    gap = max(1, width - left.cell_length - right.cell_length)
    return Content.assemble(left, " " * gap, right)


class HeaderLine(Widget):
    """Drawn from three values."""

    speaker = reactive("")
    molt: reactive[int | None] = reactive(None)
    model = reactive("")

    def __init__(self, name: str) -> None:
        super().__init__(id="header")
        self.set_reactive(HeaderLine.speaker, name)

    def render(self) -> Content:
        return header_line(self.speaker, self.molt, self.model, width=self.content_size.width)
