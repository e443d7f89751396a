"""Telephone numbers: what is written like one and is a number of its country's plan (phonenumbers, Apache-2.0)."""

import re
from functools import cache
from types import ModuleType

from memory.scrub.spans import PERSONAL, Span

INTERNATIONAL = re.compile(r"(?<![\w+.,-])(?:\+|00)[1-9]\d{0,2}(?:[ .-]{0,2}\(?\d{1,5}\)?){2,7}")
# Written the way people of a country write their numbers; without a + other groupings of digits are rarely numbers.
NATIONAL = [
    ("PT", re.compile(r"(?<![\w.,+-])(?<!\d[ .])(?:9[1236]\d|2\d\d|[378]0\d)([ .-])\d{3}\1\d{3}(?!\w|[ .,-]?\d)")),
    ("PT", re.compile(r"(?<![\w.,+-])(?<!\d[ .])(?:9[1236]|2\d)[ .-]\d{3}[ .-]\d{2}[ .-]?\d{2}(?!\w|[ .,-]?\d)")),
    (
        "BR",
        re.compile(r"(?<![\w.,+-])(?:\([1-9]\d\) ?|[1-9]\d[ -])(?:9[ .]?\d{4}|[2-5]\d{3})[ .-]\d{4}(?!\w|[ .,-]?\d)"),
    ),
    (
        "US",
        re.compile(r"(?<![\w.,+-])(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d([.-]))[2-9]\d\d[.-]\d{4}(?!\w|[ .,-]?\d)"),
    ),
]
# A bare number, or other groups, only where a telephone is spoken of.
BARE = re.compile(
    r"(?<![\w.,+/-])(?!(?:19|20)[0-9]{2}[-. ][0-9]{2}[-. ][0-9]{2})"  # a date
    r"[(]?0?[1-9]\d{0,4}[)]?(?:[ .-]?\d{2,5}){1,4}(?!\w|[.,:-]?\d)"
)
NEAR = re.compile(
    r"(?i)\b(?:tel|telef\w*|telem\w*|tlf|tlm|phone|mobile|cell|celular|call|ring|liga\w*|ligue|whats\w*|contact\w*|sms"
    r"|text me|fax|número|numero)\b"
)
REGIONS = ("PT", "BR", "US", "GB", "ES", "FR")
NEAR_CHARS = 40
LONGEST_DIGITS = 15
MARGIN_CHARS = 4


@cache
def _plan() -> ModuleType:
    import phonenumbers

    return phonenumbers


def phone_spans(text: str, start: int, end: int) -> list[Span]:
    """Telephone numbers in or at the edges of ``text[start:end]``, a place dense with digits."""
    first, last = max(start - MARGIN_CHARS, 0), min(end + MARGIN_CHARS, len(text))
    found = [m.span() for m in INTERNATIONAL.finditer(text, first, last) if _is_international(text, m)]
    for region, pattern in NATIONAL:
        found += [
            m.span() for m in pattern.finditer(text, first, last) if _is_valid(m[0], region, possible=region == "US")
        ]
    if not found and NEAR.search(text, max(start - NEAR_CHARS, 0), start):
        for match in BARE.finditer(text, first, last):
            if 9 <= sum(c.isdigit() for c in match[0]) <= 11 and any(_is_valid(match[0], r) for r in REGIONS):
                found.append(match.span())
                break
    return [Span(*span, "PHONE", PERSONAL) for span in found]


def _is_international(text: str, match: re.Match[str]) -> bool:
    digits = sum(c.isdigit() for c in match[0])
    if not 8 <= digits <= LONGEST_DIGITS or text[match.end() : match.end() + 1].isalnum():
        return False
    number = "+" + match[0][2:] if match[0].startswith("00") else match[0]
    if match[0].startswith("00") and digits == len(match[0]):  # no spaces: as likely a padded number
        return bool(NEAR.search(text, max(match.start() - NEAR_CHARS, 0), match.start())) and _is_valid(number, None)
    return _is_valid(number, None, possible=digits + 1 < len(match[0]))


def _is_valid(number: str, region: str | None, *, possible: bool = False) -> bool:
    """Whether the plan of ``region`` (None: the one the number names) has such a number, or only such a length."""
    plan = _plan()
    try:
        parsed = plan.parse(number, region)
    except plan.NumberParseException:
        return False
    return bool(plan.is_possible_number(parsed) if possible else plan.is_valid_number(parsed))
