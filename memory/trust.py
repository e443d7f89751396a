"""What in a conversation is nobody's word: pastes, orders hidden in them, and replies that only repeat them (pure)."""

import re

from memory.orders import commands, strong_commands
from memory.pastes import Ranges, merged, pasted_ranges

__all__ = ["Ranges", "Watch", "commands", "merged", "pasted_ranges", "repeats", "words"]

UNTRUSTED_BYTES = 256 * 1024
"""How much untrusted text replies are compared with: of the pastes, and of the tool results since the question."""
WORDS_IN_A_ROW = 4
REPEATED_SHARE = 0.8
SHORT_WORDS = 6

_TO_SPACE = bytes(byte if byte >= 0x80 or chr(byte).isalnum() else 0x20 for byte in range(256))
_TYPOGRAPHIC = re.compile(rb"\xe2\x80[\x90-\xbf]|\xc2[\xa0\xab\xbb]|\xe2\x86[\x90-\x93]")
_ACKNOWLEDGED = frozenset(
    b"yes no ok okay yeah yep nope sure right done true false correct "
    b"sim nao n\xc3\xa3o claro certo feito pronto".split()
)


def words(text: str) -> bytes:
    """``text`` for comparing: small letters, words apart by one space, no punctuation, a space at both ends."""
    raw = text.lower().encode("utf-8", "replace").translate(_TO_SPACE)
    if b"\xe2\x80" in raw or b"\xc2" in raw:
        raw = _TYPOGRAPHIC.sub(b" ", raw)
    return b" " + b" ".join(raw.split()) + b" "


def repeats(reply: str, untrusted: str) -> bool:
    """Whether a reply only repeats untrusted text.

    True when at least 0.8 of its runs of four words stand in it; a reply under six words must stand there as a whole
    and say more than yes, no or done.
    """
    return _stands_in(words(reply), [words(untrusted)])


def _stands_in(reply: bytes, texts: list[bytes] | list[bytearray] | list[bytes | bytearray]) -> bool:
    said = reply.split()
    if not said or not any(texts):
        return False
    if len(said) < SHORT_WORDS:
        return not _ACKNOWLEDGED.issuperset(said) and any(reply in text for text in texts)
    runs = [b" " + b" ".join(said[i : i + WORDS_IN_A_ROW]) + b" " for i in range(len(said) - WORDS_IN_A_ROW + 1)]
    step = max(1, len(runs) // 12)
    if not _mostly_in(runs[::step], texts, allowed=0.5):  # most replies are told apart by a few samples
        return False
    return _mostly_in(runs, texts, allowed=1 - REPEATED_SHARE)


def _mostly_in(
    runs: list[bytes], texts: list[bytes] | list[bytearray] | list[bytes | bytearray], allowed: float
) -> bool:
    left = int(len(runs) * allowed + 1e-9)
    for run in runs:
        if not any(run in text for text in texts):
            left -= 1
            if left < 0:
                return False
    return True


class Watch:
    """Follows one conversation in the order it was said and tells which replies cannot be trusted.

    ``obeying`` becomes True once a paste or a tool result gave orders: every later reply may be following them.
    """

    def __init__(self) -> None:
        self.obeying = False
        self._pasted = bytearray()
        self._heard = bytearray()

    def human(self, text: str, ranges: Ranges) -> None:
        """The person spoke; ``ranges`` of it were pasted. Tool results before are no longer compared with."""
        self._heard = bytearray()
        for start, end in ranges:
            part = text[start:end]
            _keep(self._pasted, part)
            self.obeying = self.obeying or commands(part)

    def tool(self, text: str) -> None:
        """A tool returned ``text``: a program's output is full of orders to programs, so only the strongest count."""
        if not text:
            return
        _keep(self._heard, text)
        self.obeying = self.obeying or strong_commands(text)

    def repeats(self, reply: str) -> bool:
        """Whether a reply said now only repeats what is untrusted so far."""
        texts: list[bytes | bytearray] = [part for part in (self._pasted, self._heard) if part]
        return bool(texts) and _stands_in(words(reply), texts)


def _keep(kept: bytearray, text: str) -> None:
    """Add to the text that replies are compared with; the oldest goes when it becomes too much."""
    kept += words(text[:UNTRUSTED_BYTES])
    if len(kept) > 2 * UNTRUSTED_BYTES:
        del kept[:-UNTRUSTED_BYTES]
