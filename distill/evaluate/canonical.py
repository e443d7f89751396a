"""Words brought to one form, so that "at twenty past three" and "03:20", or "9 de maio" and "May 9th", are the same."""

import re
import unicodedata
from itertools import product

_UNITS_EN = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_UNITS = {word: n for n, word in enumerate(f"{_UNITS_EN} seventeen eighteen nineteen".split())}
# "um" and "uma" are articles as well and stay words; so does "e" outside of "vinte e cinco".
_UNITS |= {"dois": 2, "duas": 2, "tres": 3, "quatro": 4, "cinco": 5, "seis": 6, "sete": 7, "oito": 8, "nove": 9}
_UNITS |= {"dez": 10, "onze": 11, "doze": 12, "treze": 13, "catorze": 14, "quinze": 15, "dezasseis": 16}
_UNITS |= {"dezassete": 17, "dezoito": 18, "dezanove": 19}
_TENS_EN = tuple("twenty thirty forty fifty sixty seventy eighty ninety".split())  # noqa: SIM905 - word lists
_TENS_PT = tuple("vinte trinta quarenta cinquenta sessenta setenta oitenta noventa".split())  # noqa: SIM905
_TENS = {word: 10 * n for words in (_TENS_EN, _TENS_PT) for n, word in enumerate(words, 2)}
_ORDINALS_EN = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_ORDINALS = {word: n for n, word in enumerate(_ORDINALS_EN.split(), 1)} | {"twentieth": 20, "thirtieth": 30}
_ORDINALS_PT = ["primeir", "segund", "terceir", "quart", "quint", "sext", "setim", "oitav", "non", "decim"]
_ORDINALS |= {stem + end: n for (n, stem), end in product(enumerate(_ORDINALS_PT, 1), "oa")}

MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_MONTHS_PT = "janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro"
_MONTHS = {name: n for names in (MONTHS, _MONTHS_PT.split()) for n, name in enumerate(names)}
_MONTHS |= {name[:3]: n for n, name in enumerate(MONTHS) if name != "march"} | {"sept": 8}
# "-feira" may be left out where the word is no ordinal by itself.
_DAYS = {"segunda-feira": "monday", "segundas-feiras": "monday", "terca": "tuesday", "quarta-feira": "wednesday"}
_DAYS |= {"quartas-feiras": "wednesday", "quinta-feira": "thursday", "quintas-feiras": "thursday", "sexta": "friday"}
_DAYS |= {"sabado": "saturday", "domingo": "sunday", "tercas": "tuesday", "sextas": "friday", "sabados": "saturday"}
_DAYS |= {"domingos": "sunday", "segundas": "monday", "quartas": "wednesday", "quintas": "thursday"}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNIT_NAMES = {"gigabyte": "gb", "gigabytes": "gb", "gigs": "gb", "terabyte": "tb", "terabytes": "tb", "hz": "hertz"}
_UNIT_NAMES |= {"km": "kilometre", "kilometer": "kilometre", "meters": "metres", "minutos": "minutes", "min": "minutes"}


def _month(number: int) -> str:
    return MONTHS[number - 1] if 1 <= number <= 12 else str(number)


def _th(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _to(match: re.Match[str]) -> str:
    return f"{(int(match[2]) - 2) % 12 + 1}:{60 - int(match[1]):02}"


def _clock(match: re.Match[str], hour: str, minute: str, am_pm: str | None, part: str | None) -> str:
    """A time of 24 hours; what is no time (a decimal without am or pm) stays as it stands."""
    which, hours = am_pm or part, int(hour)
    if hours > 23 or int(minute) > 59 or (not which and "." in match[0]):
        return match[0]
    if which:
        hours = hours % 12 + (0 if which in _MORNING else 12)
    return f"{hours}:{minute}"


_ANY_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_ANY_TEN, _ANY_UNIT = "|".join(_TENS), "|".join(sorted(_UNITS, key=len, reverse=True))
_DIGIT_UNITS = "|".join(word for word, n in _UNITS.items() if 1 <= n <= 9)
_ORDINAL_UNITS = "|".join(word for word, n in _ORDINALS.items() if n <= 9)
_AM_PM = r"(?:\s*([ap])\.?\s?m\b\.?|\s+(?:in the|da|de)\s+(morning|afternoon|evening|manha|tarde|noite)\b|)"
_MORNING = ("a", "morning", "manha")
_RULES = (
    (re.compile(r"(?<![\d:.-])(\d{1,3}),(\d{3})\b(?![:-])"), lambda m: m[1] + m[2]),
    (re.compile(rf"\b({_ANY_TEN})(?:[- ]|\s+e\s+)({_ORDINAL_UNITS})\b"), lambda m: _th(_TENS[m[1]] + _ORDINALS[m[2]])),
    (re.compile(rf"\b({_ANY_TEN})(?:[- ]|\s+e\s+)({_DIGIT_UNITS})\b"), lambda m: str(_TENS[m[1]] + _UNITS[m[2]])),
    (re.compile(rf"\b({_ANY_TEN})\b"), lambda m: str(_TENS[m[1]])),
    (re.compile(rf"\b({'|'.join(_DAYS)})(?:-feiras?)?\b"), lambda m: _DAYS[m[1]]),
    (re.compile(rf"\b({'|'.join(WEEKDAYS)})s\b"), lambda m: m[1]),
    (re.compile(rf"\b({'|'.join(_ORDINALS)})\b"), lambda m: _th(_ORDINALS[m[1]])),
    (re.compile(rf"\b({_ANY_UNIT})\b"), lambda m: str(_UNITS[m[1]])),
    (re.compile(r"\b(?:(?:a|1)\s+hundred|cem)\b"), lambda _m: "100"),
    (re.compile(r"\b([2-9])\s+(hundred|thousand|mil)\b"), lambda m: m[1] + "000"[: 2 if m[2] == "hundred" else 3]),
    # Dates: day, month, year.
    (re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b"), lambda m: f"{int(m[3])} {_month(int(m[2]))} {m[1]}"),
    (
        re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+|de\s+)?({_ANY_MONTH})\b\.?(?:,?\s+(?:de\s+)?(\d{{4}})\b)?"),
        lambda m: f"{int(m[1])} {MONTHS[_MONTHS[m[2]]]} {m[3] or ''}",
    ),
    (
        re.compile(rf"\b({_ANY_MONTH})\.?\s+(?:the\s+)?(\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,?\s+(\d{{4}})\b)?"),
        lambda m: f"{int(m[2])} {MONTHS[_MONTHS[m[1]]]} {m[3] or ''}",
    ),
    # Times: h:mm of 24 hours.
    (re.compile(r"\bhalf past (\d{1,2})\b"), lambda m: f"{m[1]}:30"),
    (re.compile(r"\bquarter past (\d{1,2})\b"), lambda m: f"{m[1]}:15"),
    (re.compile(r"\bquarter to (\d{1,2})\b"), lambda m: f"{(int(m[1]) - 2) % 12 + 1}:45"),
    (re.compile(r"\b(\d{1,2}) (?:minutes )?past (\d{1,2})\b"), lambda m: f"{m[2]}:{int(m[1]):02}"),
    (re.compile(r"\b(\d{1,2}) (?:minutes )?to (\d{1,2})\b(?=\s*(?:[ap]\.?m|o.clock|in the))"), _to),
    (re.compile(r"\bat (\d{1,2}) ([1-5]\d)\b(?! \w)"), lambda m: f"at {m[1]}:{m[2]}"),
    (re.compile(r"\b(\d{1,2}) e meia\b"), lambda m: f"{m[1]}:30"),
    (re.compile(r"\b(\d{1,2})h(\d{2})?\b"), lambda m: f"{m[1]}:{m[2] or '00'}"),
    (re.compile(rf"\b(\d{{1,2}})[:.](\d{{2}})\b{_AM_PM}"), lambda m: _clock(m, m[1], m[2], m[3], m[4])),
    (
        re.compile(r"\b(\d{1,2})(?:\s+o.clock|)(?:\s*([ap])\.?\s?m\b\.?|\s+(?:in the|da)\s+"
                   r"(morning|afternoon|evening|manha|tarde|noite)\b)"),
        lambda m: _clock(m, m[1], "00", m[2], m[3]),
    ),
    (re.compile(r"\b(\d{1,2})\s+(?:o.clock|horas)\b"), lambda m: f"{int(m[1])}:00"),
    (re.compile(r"\b(?:noon|midday|meio-dia)\b"), lambda m: "12:00"),
    (re.compile(r"\b(?:midnight|meia-noite)\b"), lambda m: "0:00"),
)  # fmt: skip
_TOKEN = re.compile(r"\d+:\d{2}|\d+\.\d+|\d+(?:st|nd|rd|th)\b|\d+|[a-z]+(?:'[a-z]+)?")


def canonical(text: str) -> tuple[str, ...]:
    """The words of ``text`` in one form, in order.

    Case, accents and punctuation go; number words become digits (ordinals ``3rd``), times ``h:mm`` of 24 hours, dates
    day, month (English), year; days of the week are English and singular. English and Portuguese.
    """
    text = unicodedata.normalize("NFKD", text.casefold().replace("🦞", " lobster "))
    text = "".join(char for char in text if not unicodedata.combining(char))
    text = text.replace("\u2019", "'").replace("%", " percent ").replace("\u20ac", " euros ").replace("\u2013", "-")
    for pattern, form in _RULES:
        text = pattern.sub(form, text)
    return tuple(_UNIT_NAMES.get(token, token) for token in _TOKEN.findall(text))
