"""Takes what a model thinks aloud (``<think>…</think>``) apart from the reply that follows, while both stream in."""

from dataclasses import dataclass

OPEN, CLOSE = "<think>", "</think>"


@dataclass(slots=True)
class Thoughts:
    """``text`` is what was thought so far; a reply that does not begin with the tag passes through untouched."""

    text: str = ""
    _waiting: str = ""
    _state: str = "undecided"

    def feed(self, piece: str) -> str:
        """What of a new piece belongs to the reply; held back are only letters that may still become a tag."""
        if self._state == "reply":
            return piece
        self._waiting += piece
        if self._state == "undecided":
            start = self._waiting.lstrip()
            if len(start) < len(OPEN) and OPEN.startswith(start):
                return ""
            if not start.startswith(OPEN):
                return self._release()
            self._waiting, self._state = start[len(OPEN) :], "thinking"
        thought, closed, rest = self._waiting.partition(CLOSE)
        if closed:
            self.text += thought
            self._waiting, self._state = rest, "reply"
            return self._release()
        # The end of what came may be the beginning of the closing tag.
        held = next((n for n in range(len(CLOSE) - 1, 0, -1) if self._waiting.endswith(CLOSE[:n])), 0)
        self.text += self._waiting[: len(self._waiting) - held]
        self._waiting = self._waiting[len(self._waiting) - held :]
        return ""

    def end(self) -> str:
        """What was held back, where the stream ended in the middle of it; a thought without an end stays a thought."""
        if self._state == "thinking":
            self.text += self._waiting
            self._waiting = ""
            return ""
        return self._release()

    def _release(self) -> str:
        self._state = "reply"
        rest, self._waiting = self._waiting, ""
        return rest
