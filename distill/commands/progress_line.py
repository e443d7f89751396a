"""One line on a terminal that says how far a command is; silent where stderr is none."""

import sys


class ProgressLine:
    """``show`` writes over what stood there, ``clear`` leaves nothing behind."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()

    def clear(self) -> None:
        self.show("")
