"""The questions that wait until he has finished."""

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from molting_agent.clean import clean


class QueueLine(Static):
    """One line for each waiting question, at most three; hidden when none waits."""

    def __init__(self) -> None:
        super().__init__(id="queue")
        self.display = False

    def show(self, waiting: Sequence[str]) -> None:
        """Show what waits, first one first."""
        self.display = bool(waiting)
        lines = [Content.assemble(("next  ", "$accent"), " ".join(clean(text).split())) for text in waiting[:3]]
        if len(waiting) > 3:
            lines.append(Content(f"      and {len(waiting) - 3} more"))
        if lines:
            lines[0] = Content.assemble(lines[0], ("   Up takes the last one back", "$foreground-disabled"))
        self.update(Content("\n").join([line.truncate(200, ellipsis=True) for line in lines]))
