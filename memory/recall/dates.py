"""The times that a question names, in English or Portuguese, as days: "last Sunday", "há duas semanas"."""

import calendar
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

DAYS_AFTER, DAYS_BEFORE = 7.0, 2.0
"""How fast it fades outside of the days asked for: what happened is told for some days after, planned just before."""
BEYOND_ENDS = 3.0
"""Times of those, at which nothing is left."""

_MONTHS = """january janeiro|february fevereiro|march março marco|april abril|may maio|june junho|july julho
|august agosto|september setembro|october outubro|november novembro|december dezembro"""
_DAYS = """monday segunda-feira segunda|tuesday terça-feira terça terca|wednesday quarta-feira quarta
|thursday quinta-feira quinta|friday sexta-feira sexta|saturday sábado sabado|sunday domingo"""
_NUMBERS = """a um uma one|two dois duas couple few|three três tres|four quatro|five cinco|six seis|seven sete
|eight oito|nine nove|ten dez"""


def _numbered(table: str) -> dict[str, int]:
    return {word: number for number, words in enumerate(table.split("|"), 1) for word in words.split()}


MONTHS, WEEKDAYS, NUMBERS = _numbered(_MONTHS), _numbered(_DAYS), _numbered(_NUMBERS)
_MONTH = rf"(?P<month>{'|'.join(MONTHS)}|jan|feb|fev|mar|apr|abr|jun|jul|aug|ago|sept?|set|oct|out|nov|dec|dez)"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_COUNT = rf"(?P<count>\d{{1,3}}|{'|'.join(NUMBERS)})"
_UNIT = r"(?P<unit>days?|weeks?|months?|years?|dias?|semanas?|m[eê]s(?:es)?|anos?)"
_PARTS = "early|mid|late|the (?:beginning|start|middle|end) of|in[ií]cio de|meados de|fins? de|final de"
_PART = rf"(?P<part>(?:{_PARTS})[ -])?"


@dataclass(frozen=True, slots=True)
class Span:
    """Days from ``first`` to ``last``, both included."""

    first: date
    last: date


def asked_spans(question: str, today: date) -> tuple[list[Span], str]:
    """The days that ``question`` names, as seen on ``today``, and the question without the words that name them.

    Where a day is named, "last Friday" and the like are seen from there: "last Friday on 23 January".
    """
    spans: list[Span] = []
    rest = question
    for pattern, reading in _READINGS:
        for match in reversed(list(pattern.finditer(rest))):
            if (span := reading({key: value.casefold() for key, value in match.groupdict("").items()}, today)) is None:
                continue
            spans.append(span)
            if reading in (_a_day, _iso):
                today = span.last
            rest = f"{rest[: match.start()]} {rest[match.end() :]}"
    return spans, rest


def nearness(timestamp: str, spans: Sequence[Span]) -> float:
    """1 for a moment on one of the days, fading to 0 some days around them; 0 where no time is known."""
    if not spans or (moment := moment_of(timestamp)) is None:
        return 0.0
    return max(_nearness(moment.date(), span) for span in spans)


def moment_of(timestamp: str) -> datetime | None:
    """A timestamp as it stands in the store (day or moment, ISO 8601), with its zone; None where there is none."""
    try:
        moment = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _nearness(day: date, span: Span) -> float:
    after, before = (day - span.last).days, (span.first - day).days
    far = after / DAYS_AFTER if after > 0 else before / DAYS_BEFORE if before > 0 else 0.0
    return max(0.0, 1.0 - far / BEYOND_ENDS)


def _a_day(found: dict[str, str], today: date) -> Span | None:
    month, day = _month_number(found["month"]), int(found["day"])
    year = int(found["year"] or 0)
    for one in [year] if year else [today.year, *range(today.year - 1, today.year - 8, -1)]:
        try:
            there = date(one, month, day)
        except ValueError:  # the 29th of February, or the 31st of a shorter month
            continue
        if year or there <= today:
            return Span(there, there)
    return None


def _a_month(found: dict[str, str], today: date) -> Span | None:
    month = _month_number(found["month"])
    year = int(found["year"] or 0) or (today.year if month <= today.month else today.year - 1)
    last = calendar.monthrange(year, month)[1]
    part = found["part"]
    if re.search("early|beginning|start|in[ií]cio", part):
        return Span(date(year, month, 1), date(year, month, 10))
    if re.search("mid|meados", part):
        return Span(date(year, month, 10), date(year, month, 20))
    if part:
        return Span(date(year, month, 20), date(year, month, last))
    return Span(date(year, month, 1), date(year, month, last))


def _a_year(found: dict[str, str], today: date) -> Span | None:
    return Span(date(int(found["year"]), 1, 1), date(int(found["year"]), 12, 31))


def _iso(found: dict[str, str], today: date) -> Span | None:
    try:
        there = date.fromisoformat(found["iso"])
    except ValueError:
        return None
    return Span(there, there)


def _near_day(found: dict[str, str], today: date) -> Span | None:
    back = {"today": 0, "hoje": 0, "yesterday": 1, "ontem": 1}.get(found["word"], 2)
    return Span(today - timedelta(back), today - timedelta(back))


def _weekday(found: dict[str, str], today: date) -> Span | None:
    back = (today.weekday() + 1 - WEEKDAYS[found["weekday"]]) % 7 or 7
    return Span(today - timedelta(back), today - timedelta(back))


def _ago(found: dict[str, str], today: date) -> Span | None:
    count = int(found["count"]) if found["count"].isdigit() else NUMBERS[found["count"]]
    days = count * _days_of(found["unit"])
    blur = 0 if days < 7 else max(2, days // 8)
    if days > 36_500:
        return None
    return Span(today - timedelta(days + blur), today - timedelta(days - blur))


def _last_unit(found: dict[str, str], today: date) -> Span | None:
    days = _days_of(found["unit"])
    is_this = found["which"] in ("this", "esta", "este")
    if days == 2:
        saturday = today - timedelta((today.weekday() + 2) % 7 or 7)
        return Span(saturday, saturday + timedelta(1))
    if days == 7:
        monday = today - timedelta(today.weekday() + (0 if is_this else 7))
        return Span(monday, monday + timedelta(6))
    if days == 30:
        first = today.replace(day=1)
        return Span(first, today) if is_this else Span((first - timedelta(1)).replace(day=1), first - timedelta(1))
    year = today.year - (not is_this)
    return Span(date(year, 1, 1), date(year, 12, 31))


def _days_of(unit: str) -> int:
    if unit in ("weekend", "fim de semana"):
        return 2
    return {"d": 1, "w": 7, "s": 7, "m": 30}.get(unit[0], 365)


def _month_number(name: str) -> int:
    if name in MONTHS:
        return MONTHS[name]
    short = {"feb": 2, "apr": 4, "aug": 8, "sep": 9, "oct": 10, "dec": 12}
    return short.get(name[:3]) or next(number for word, number in MONTHS.items() if word.startswith(name[:3]))


_Reading = Callable[[dict[str, str], date], Span | None]
_PAST_UNIT = r"(?P<unit>week|month|year|weekend|semana|m[eê]s|ano|fim de semana)"
# In this order: what is read first is taken out, so that "8 February 2026" is not read as "2026" once more.
_READINGS: list[tuple[re.Pattern[str], _Reading]] = [
    (re.compile(pattern, re.IGNORECASE), reading)
    for pattern, reading in (
        (r"\b(?P<iso>\d{4}-\d{2}-\d{2})\b", _iso),
        (rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th|º)?(?: of| de)? {_MONTH}\b\.?(?:,? (?:de )?{_YEAR})?", _a_day),
        (rf"\b{_MONTH}\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? {_YEAR})?", _a_day),
        (rf"\b{_PART}{_MONTH},? (?:de |of )?{_YEAR}\b", _a_month),
        # A month alone, but no "may I" and no "march on": those two need a word before them that leads to a time.
        (rf"\b{_PART}(?P<month>{'|'.join(set(MONTHS) - {'may', 'march', 'marco'})})\b(?P<year>)", _a_month),
        (
            r"\b(?:in|since|during|of|last|by|until|before|after) "
            rf"{_PART}(?P<month>may|march|marco)\b(?P<year>)",
            _a_month,
        ),
        (rf"\b(?:in|during|of|since|em|de|desde) {_YEAR}\b", _a_year),
        (r"\b(?:the )?(?P<word>day before yesterday|yesterday|today|anteontem|ontem|hoje)\b", _near_day),
        (rf"\b(?:last|on|this past|no|na|[uú]ltim[ao]) (?P<weekday>{'|'.join(WEEKDAYS)})\b(?: passad[ao])?", _weekday),
        (rf"\b{_COUNT} {_UNIT} ago\b", _ago),
        (rf"\bh[aá] {_COUNT} {_UNIT}\b", _ago),
        (rf"\b(?P<which>last|this|past|esta|este|no) {_PAST_UNIT}\b(?: passad[ao])?", _last_unit),
        (rf"\b(?P<which>){_PAST_UNIT} passad[ao]\b", _last_unit),
    )
]
