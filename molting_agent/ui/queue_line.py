"""The questions that wait until he has finished."""

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from molting_agent.clean import clean_line

SHOWN = 3
REWRITING = "edit  Enter asks it in the place of the old one; Esc leaves it"


class QueueLine(Static):
    """One line for each waiting question, at most three, and how to get at them; hidden when none waits."""

    def __init__(self) -> None:
        super().__init__(id="queue")
        self.display = False

    def show(self, waiting: Sequence[str], *, rewriting: bool = False, asleep: bool = False) -> None:
        """Show what waits, first one first.

        ``rewriting``: the prompt holds a question that was asked already. ``asleep``: he is not awake to answer yet.
        """
        self.display = bool(waiting) or rewriting
        lines = [Content.styled(REWRITING, "$accent")] if rewriting else []
        lines += [Content.assemble(("next  ", "$accent"), clean_line(text)) for text in waiting[:SHOWN]]
        if waiting:
            more = f"and {len(waiting) - SHOWN} more; " if len(waiting) > SHOWN else ""
            when = "he is still waking up; " if asleep else ""
            lines.append(Content.styled(f"      {more}{when}Up takes the last one back", "$foreground-disabled"))
        self.update(Content("\n").join(lines))
