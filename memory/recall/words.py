"""The words of a question: what it is about, and whether it asks when."""

import re

MAX_TERMS = 24

# Words that say nothing about the subject, English and Portuguese; names and numbers always count.
_STOP_WORDS = """
a an and are as at be been but by can could did do does for from had has have he her him his how i if in is it its know
me my of on or our please remember she should so tell that the their them there they this to us was we were what when
where which who why will with would you your about
happen happened happens said say talk talked
aconteceu aconteceram disse dissemos falamos fez fiz fizemos
bye fine go good hello help hey hi just more much no ok okay really sorry sounds sure thank thanks today well yes
ao aos as com como da das de do dos e ela elas ele eles em era esta este eu foi isso isto lhe mais me meu minha na nas
no nos não o onde os ou para por qual quais quando que quem se ser seu sim sua são te tu um uma umas uns está é
bem boa bom dia noite obrigada obrigado olá tarde
"""
_STOP = frozenset(_STOP_WORDS.split())
_GREETING = re.compile(r"\bgood (morning|afternoon|evening|night)\b|\bbo[am] (dia|tarde|noite)\b")
_ASKS = re.compile(r"\b(what|which|who|where|how|did|o que|que|qual|quais|quem|onde|como)\b", re.IGNORECASE)
_ASKS_WHEN = re.compile(r"^\W*(when|what time|quando|a que horas)\b", re.IGNORECASE)
_NAMES_A_TIME = re.compile(
    r"\b(\d{1,2}[:h]\d{2}|\d{4}-\d{2}-\d{2}|every|(mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march"
    r"|april|may|june|july|august|september|october|november|december|(segunda|terça|quarta|quinta|sexta)-feira|sábado"
    r"|domingo|todos os dias|todas as noites|janeiro|fevereiro|março|abril|maio|junho|julho|agosto|setembro|outubro"
    r"|novembro|dezembro)\b",
    re.IGNORECASE,
)


def content_terms(query: str) -> list[str]:
    """The words of a question that say what it is about, without repeats; [] for mere courtesy."""
    words = list(dict.fromkeys(re.findall(r"\w+", _GREETING.sub(" ", query.casefold()))))
    content = [word for word in words if word not in _STOP and (len(word) > 1 or word.isdigit())]
    return content[:MAX_TERMS]


def is_question(query: str) -> bool:
    """Whether something is asked, and not only said."""
    return "?" in query or bool(_ASKS.search(query))


def asks_when(query: str) -> bool:
    """Whether a time is asked for."""
    return bool(_ASKS_WHEN.match(query))


def names_a_time(text: str) -> bool:
    """Whether a text names a time, a day or a date."""
    return bool(_NAMES_A_TIME.search(text))
