"""Text that is safe to show: terminal sequences, control bytes and invisible direction marks are taken out of a stream.

What may come out is ordinary text with newlines and tabs; ESC, the C0 and C1 controls, DEL, bidirectional overrides,
tag characters and lone surrogates never do, wherever the stream is cut. Sequences (CSI, OSC, DCS, APC, PM, SOS) are
those of ECMA-48.
"""

import re

_GROUND, _ESCAPE, _CSI, _STRING, _STRING_ESCAPE = range(5)
_STRING_STARTERS = frozenset("]PX^_")
_C1_STRINGS = frozenset("\x90\x98\x9d\x9e\x9f")
_ABORT = frozenset("\x18\x1a")
# An unterminated OSC or DCS may not swallow the rest of a reply: it ends with its line, or after this many characters.
_STRING_LIMIT_CHARS = 4096

UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional marks, embeddings, overrides, isolates
    "\u2060-\u2065\u206a-\u206f\u180e\ufeff\ufff9-\ufffb"  # invisible format characters
    "\U000e0000-\U000e007f\ud800-\udfff]"  # tag characters, lone surrogates
)
_SEPARATORS = str.maketrans({"\u2028": "\n", "\u2029": "\n", "\x85": "\n"})


class Cleaner:
    """Cleans one stream; sequences split between chunks are recognised, so that chunking never changes the result."""

    def __init__(self) -> None:
        self._state = _GROUND
        self._string_chars = 0

    def feed(self, chunk: str) -> str:
        """What of ``chunk`` may be shown now."""
        chunk = chunk.translate(_SEPARATORS)
        if self._state == _GROUND and not UNSAFE.search(chunk):
            return chunk
        return "".join(character for character in chunk if self._shows(character))

    def _shows(self, character: str) -> bool:
        """Advance by one character; True when it is text."""
        if self._state == _GROUND:
            return self._ground(character)
        if character in _ABORT:
            self._state = _GROUND
            return False
        if self._state == _ESCAPE:
            return self._after_escape(character)
        if self._state == _CSI:
            if " " <= character <= "?":
                return False
            self._state = _GROUND
            return not "@" <= character <= "~" and self._ground(character)
        return self._in_string(character)

    def _ground(self, character: str) -> bool:
        if character == "\x1b":
            self._state = _ESCAPE
        elif character == "\x9b":
            self._state = _CSI
        elif character in _C1_STRINGS:
            self._state, self._string_chars = _STRING, 0
        return not UNSAFE.match(character)

    def _after_escape(self, character: str) -> bool:
        if character == "[":
            self._state = _CSI
        elif character in _STRING_STARTERS:
            self._state, self._string_chars = _STRING, 0
        elif " " <= character <= "/":
            pass  # intermediate byte: the final one follows
        elif "0" <= character <= "~":
            self._state = _GROUND
        else:
            self._state = _GROUND
            return self._ground(character)
        return False

    def _in_string(self, character: str) -> bool:
        self._string_chars += 1
        if character == "\n" or self._string_chars > _STRING_LIMIT_CHARS:
            self._state = _GROUND
            return self._ground(character)
        if self._state == _STRING_ESCAPE:
            self._state = _GROUND if character == "\\" else _ESCAPE
            return self._state == _ESCAPE and self._after_escape(character)
        if character == "\x1b":
            self._state = _STRING_ESCAPE
        elif character in "\x07\x9c":
            self._state = _GROUND
        return False


def clean(text: str) -> str:
    """A whole text, cleaned; see the module's first line."""
    return Cleaner().feed(text)


def clean_line(text: str) -> str:
    """A text for one line: cleaned, with every run of white space as one blank."""
    return " ".join(clean(text).split())
