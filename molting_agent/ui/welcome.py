"""What an empty conversation shows."""

from textual.content import Content
from textual.widgets import Static

from molting_agent.clean import clean


class Welcome(Static):
    """Who is there, and the three things worth knowing at the start."""

    def __init__(self, name: str) -> None:
        super().__init__(id="welcome")
        self.show(name, "waking up …")

    def show(self, name: str, line: str) -> None:
        """Set the name and the one line about his state."""
        keys = (("Enter", "sends"), ("/", "commands"), ("F1", "help"), ("Ctrl+Q", "leaves"))
        hints = Content("    ").join([Content.assemble((key, "$primary"), f" {word}") for key, word in keys])
        self.update(
            Content("\n").join(
                [Content.styled(clean(name), "bold $foreground"), Content(clean(line)), Content(""), hints]
            )
        )
