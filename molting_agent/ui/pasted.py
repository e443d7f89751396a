"""Long pastes, shown as one folded line in the prompt and put back when it is sent (pure)."""

import re

FOLD_LINES = 6
FOLD_CHARS = 600
MARK = re.compile(r"\[pasted text (\d+): [\d,]+ (?:lines|characters)\]")


class Pastes:
    """The folded pastes of one prompt, by their number."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        self._last = 0

    def fold(self, text: str) -> str:
        """What to show for a paste: the text itself, or its mark when it is long."""
        lines = text.count("\n") + 1
        if lines <= FOLD_LINES and len(text) <= FOLD_CHARS:
            return text
        self._last += 1
        self._texts[self._last] = text
        size = f"{lines:,} lines" if lines > FOLD_LINES else f"{len(text):,} characters"
        return f"[pasted text {self._last}: {size}]"

    def unfold(self, text: str, *, wrapped: bool) -> str:
        """The prompt with its pastes; ``wrapped`` marks them as text that the person did not write."""

        def put_back(match: re.Match[str]) -> str:
            pasted = self._texts.get(int(match[1]))
            if pasted is None:
                return match[0]
            if not wrapped:
                return pasted
            inert = re.sub(r"</(?=pasted_text)", "< /", pasted, flags=re.I)
            return f"<pasted_text>\n{inert}\n</pasted_text>"

        return MARK.sub(put_back, text)

    def clear(self) -> None:
        """Forget the pastes of a prompt that was sent or emptied; numbers go on."""
        self._texts.clear()
