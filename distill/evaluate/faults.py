"""What is plainly wrong with a reply, found by rule: it runs in a loop, refuses, is empty, or repeats the prompt."""

import re
import zlib
from dataclasses import dataclass

# A period that comes three times and fills this many characters at a reply's end is no figure of speech.
LOOP_REPEATS, LOOP_CHARS = 3, 40
# Of 494 replies of a large model of this length none deflated to less than 0.54 of itself.
DENSE_CHARS, DENSE_SHARE = 200, 0.4
ECHO_WORDS, ECHO_SHARE = 5, 0.5
REFUSAL_CHARS = 160

WORD = re.compile(r"\w+")
REFUSAL = re.compile(
    r"""
    \b(?: i(?:'m|\ am)\ (?:\w+\ )?(?:sorry|unable|afraid)\b[^.!?]{0,40}\b(?:can(?:'t|not|\ not)|unable|won't|not\ able)
      | i\ (?:can(?:'t|not|\ not)|am\ unable\ to|am\ not\ able\ to|won't)\ (?:\w+\ )?
        (?:help|assist|comply|fulfil?l|answer|respond|provide|do\ that|discuss|engage|continue|support)
      | (?:i\ must|i\ have\ to)\ (?:\w+\ )?(?:decline|refuse)
      | as\ an?\ (?:ai|artificial|language|virtual|digital)\b
      | (?:against|violates?)\ my\ (?:guidelines|programming|policy|policies)
      | (?:desculpe|lamento|sinto\ muito)[^.!?]{0,40}\bn[ãa]o\ (?:posso|consigo)
      | n[ãa]o\ (?:posso|consigo)\ (?:ajudar|responder|continuar|fornecer)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Faults:
    """What the rules find in one reply; each names a share over many replies."""

    loops: bool
    refuses: bool
    empty: bool
    echoes: bool


def faults_of(reply: str, question: str, system: str) -> Faults:
    """All rules applied to a reply to ``question`` under the system prompt ``system``."""
    return Faults(loops(reply), refuses(reply), is_empty(reply), echoes(reply, question, system))


def loops(reply: str) -> bool:
    """The reply repeats itself to its end, or so much throughout that it deflates to two fifths.

    Repeating to the end: its last characters have a period (of any length, the last turn may be cut) that comes at
    least three times and covers at least 40 characters. Digits count as alike: a list that only counts on is a loop.
    """
    plain = re.sub(r"\d+", "0", " ".join(reply.casefold().split()))
    backwards = plain[::-1]
    alike_Z = _common_with_start(backwards)
    for period in range(1, len(backwards) // LOOP_REPEATS + 1):
        if period + alike_Z[period] >= max(LOOP_REPEATS * period, LOOP_CHARS):
            return True
    data = plain.encode()
    return len(data) >= DENSE_CHARS and len(zlib.compress(data, 9)) < DENSE_SHARE * len(data)


def _common_with_start(text: str) -> list[int]:
    """The Z array: for each place, how many characters from there agree with the text's beginning. O(n)."""
    found = [0] * len(text)
    left = right = 0
    for i in range(1, len(text)):
        size = min(right - i, found[i - left]) if i < right else 0
        while i + size < len(text) and text[size] == text[i + size]:
            size += 1
        if i + size > right:
            left, right = i, i + size
        found[i] = size
    return found


def refuses(reply: str) -> bool:
    """The reply begins by declining to answer, as assistants do (English and Portuguese)."""
    plain = " ".join(reply.replace("’", "'").casefold().split())
    return bool(REFUSAL.search(plain[:REFUSAL_CHARS]))


def is_empty(reply: str) -> bool:
    """Nothing that could be read: no letter and no digit."""
    return WORD.search(reply) is None


def echoes(reply: str, question: str, system: str) -> bool:
    """At least half of the reply's runs of five words stand in the question or in the system prompt.

    A reply shorter than a run is an echo when it is the question itself.
    """
    said, asked, told = (WORD.findall(text.casefold()) for text in (reply, question, system))
    if len(said) < ECHO_WORDS:
        return bool(said) and len(said) > 1 and said == asked
    runs = [tuple(said[i : i + ECHO_WORDS]) for i in range(len(said) - ECHO_WORDS + 1)]
    known = {tuple(words[i : i + ECHO_WORDS]) for words in (asked, told) for i in range(len(words) - ECHO_WORDS + 1)}
    return sum(run in known for run in runs) >= ECHO_SHARE * len(runs)
