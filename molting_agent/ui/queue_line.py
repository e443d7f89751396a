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

    def show(self, waiting: Sequence[str], *, rewriting: bool = False) -> None:
        """Show what waits, first one first; ``rewriting``: the prompt holds a question that was asked already."""
        self.display = bool(waiting) or rewriting
        lines = [
            Content.styled("edit  Enter asks it in the place of the old one; Esc leaves it", "$accent")
        ] * rewriting
        lines += [Content.assemble(("next  ", "$accent"), " ".join(clean(text).split())) for text in waiting[:3]]
        if len(waiting) > 3:
            lines.append(Content(f"      and {len(waiting) - 3} more"))
        if waiting:
            lines[rewriting] = Content.assemble(
                lines[rewriting], ("   Up takes the last one back", "$foreground-disabled")
            )
        self.update(Content("\n").join([line.truncate(200, ellipsis=True) for line in lines]))
