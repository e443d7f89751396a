"""Draws what stands in a lesson's slots: from word lists, and names, dates, times and numbers made up on the spot."""

import random
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

VALUES_FILE = Path(__file__).parent / "values.md"
ENGLISH, PORTUGUESE = "en", "pt"
_SECTIONS = {"both": (ENGLISH, PORTUGUESE), "English": (ENGLISH,), "Portuguese": (PORTUGUESE,)}

_UNITS_EN = "two three four five six seven eight nine ten eleven twelve"
_MONTHS_EN = "January February March April May June July August September October November December"
_MONTHS_PT = "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"
_DAYS_EN = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_DAYS_PT = "segunda terça quarta quinta sexta"
_NTHS = "first second third fourth fifth"
_WORDS = {
    (ENGLISH, "n"): _UNITS_EN,
    (PORTUGUESE, "n"): "2 3 4 5 6 7 8 9 10 11 12",  # the words for 1 and 2 have a gender
    (ENGLISH, "month"): _MONTHS_EN,
    (PORTUGUESE, "month"): _MONTHS_PT,
    (ENGLISH, "day"): _DAYS_EN,
    (PORTUGUESE, "day"): _DAYS_PT,
    (ENGLISH, "nth"): _NTHS,
}
_SYLLABLES = "ba be bi bo bra bru ca ce co cri da de do dra fa fe fi flo ga ge go gri ja jo ka ke la le li lo lu ma"
_SYLLABLES += " me mi mo na ne no nu pa pe pi po pra qua ra re ri ro ru sa se si so sta ta te ti to tra va ve vi vo"
_ENDINGS = "ca co da do fa ga go l la lo ma mo na no r ra ro s sa so ta to va vo x za"


def draw(slot: str, language: str, rng: random.Random) -> str:
    """A value for ``slot`` (its name in small letters, without a trailing number); KeyError for an unknown one."""
    maker = _MAKERS.get(slot)
    if maker:
        return maker(language, rng)
    words = _WORDS.get((language, slot))
    return rng.choice(words.split() if words else lists()[language][slot])


def knows(slot: str, language: str) -> bool:
    """Whether there are values for a slot."""
    return slot in _MAKERS or (language, slot) in _WORDS or slot in lists()[language]


@lru_cache(maxsize=1)
def lists() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """The word lists by language and slot, as values.md has them."""
    found: dict[str, dict[str, tuple[str, ...]]] = {ENGLISH: {}, PORTUGUESE: {}}
    languages: tuple[str, ...] = ()
    for line in VALUES_FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            languages = _SECTIONS[line[3:].strip()]
        elif line.startswith("- "):
            slot, _, words = line[2:].partition(": ")
            for language in languages:
                found[language][slot] = found[language].get(slot, ()) + tuple(words.split(" / "))
    return found


def _made_up_name(_language: str, rng: random.Random) -> str:
    """A name that no text holds: two or three syllables."""
    syllables = [rng.choice(_SYLLABLES.split()) for _ in range(rng.choice((1, 2, 2)))]
    return ("".join(syllables) + rng.choice(_ENDINGS.split())).capitalize()


def _date(language: str, rng: random.Random) -> str:
    """A day of a year, as people write it or as computers do."""
    if rng.random() < 0.4:
        return _iso_date(language, rng)
    day = _day_and_month(language, rng)
    return f"{day} de {_year(rng)}" if language == PORTUGUESE else f"{day} {_year(rng)}"


def _iso_date(_language: str, rng: random.Random) -> str:
    return f"{_year(rng)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _day_and_month(language: str, rng: random.Random) -> str:
    """Such as ``9 May``, ``9 de maio``."""
    month = draw("month", language, rng)
    return f"{rng.randint(1, 28)} de {month}" if language == PORTUGUESE else f"{rng.randint(1, 28)} {month}"


def _year(rng: random.Random) -> int:
    return rng.randint(2011, 2027)


def _time(_language: str, rng: random.Random) -> str:
    return f"{rng.randint(0, 23):02}:{rng.choice((*range(0, 60, 5), rng.randint(0, 59))):02}"


def _code(_language: str, rng: random.Random) -> str:
    return f"{rng.choice('ABCDEFGHKLMNPRSTVX')}{rng.choice(('-', ''))}{rng.randint(2, 99)}"


def _number(low: int, high: int) -> Callable[[str, random.Random], str]:
    return lambda _language, rng: str(rng.randint(low, high))


_MAKERS: dict[str, Callable[[str, random.Random], str]] = {
    "pet": _made_up_name,
    "machine": _made_up_name,
    "date": _date,
    "isodate": _iso_date,
    "birthday": _day_and_month,
    "year": lambda _language, rng: str(_year(rng)),
    "time": _time,
    "code": _code,
    "nn": _number(11, 98),
    "nn31": _number(1, 31),
    "nnn": _number(101, 989),
    "nnnn": _number(1001, 9890),
}
