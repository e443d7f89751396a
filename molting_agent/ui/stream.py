"""Gathers the deltas of a reply and says what of them may be drawn now."""

FENCES = ("```", "~~~")


class StreamBuffer:
    """Text between two flushes.

    Inside a code fence only whole lines are given out: each flush highlights the fence anew, and half a line of code
    flickers between two readings. Elsewhere everything is given out at once.
    """

    def __init__(self) -> None:
        self.text = ""
        self._given = 0
        self._line_start = 0
        self._fence = ""

    def write(self, delta: str) -> None:
        """Add what the engine produced."""
        self.text += delta

    def take(self) -> str:
        """What may be drawn now and has not been given out before."""
        end = self.text.rfind("\n") + 1
        for line in self.text[self._line_start : end].splitlines():
            self._see(line)
        self._line_start = end
        # an opening fence that is still being written must not count yet, it may become ```python
        limit = end if self._fence else len(self.text)
        return self._give(limit)

    def rest(self) -> str:
        """Everything not given out yet; for the end of the reply."""
        return self._give(len(self.text))

    def _give(self, limit: int) -> str:
        given = self.text[self._given : limit] if limit > self._given else ""
        self._given = max(self._given, limit)
        return given

    def _see(self, line: str) -> None:
        mark = line.strip()[:3]
        if not self._fence and mark in FENCES:
            self._fence = mark
        elif self._fence and line.strip().strip(self._fence[0]) == "" and mark == self._fence:
            self._fence = ""
