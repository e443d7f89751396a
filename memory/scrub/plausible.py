"""Whether a value that stands where a secret would stand is one, or only code, a name, a number or a common word."""

import re
from enum import Enum, auto
from itertools import pairwise
from string import ascii_lowercase, ascii_uppercase, digits


class Said(Enum):
    """How the value is bound to the word that names it."""

    ASSIGNED = auto()  # password = value
    SAID = auto()  # the password for the server is value
    TYPED = auto()  # password value; when it asks for a password, type value
    PAIR = auto()  # credentials: name / value
    BEFORE = auto()  # value is the password


SIGNS = set("!@#$%^&*?+~§€£=")
NOT_ONE = re.compile(
    r"(?i)^(?:[\"'`$<\[{%(@].*"  # a variable, a tag, a template; the value of a variable stands elsewhere
    r"|.*(?:\.\.\.|…|\$\{|\{\{|://|\(\)|=>|->|\(|&&|\|\||::|//).*"  # code, addresses, what is cut short
    r"|[a-z_.]+<.*"  # types
    r"|[./~\\].*|[a-z]:[\\/].*|(?:[\w.-]+/){2,}[\w.-]*"  # paths
    r"|[a-z_]\w*\[.*|.*\)"  # places in a list, calls
    r"|(.)\1{3,}|.*x{5,}.*|.*\*{3,}.*|.*(?:your|my|some|test|insert|placeholder|example|change|redacted|dummy"
    r"|fake|exemplo|sua|tua)[-_ ]?"
    r"(?:own[-_ ])?(?:pass|api|key|secret|token|auth|senha|chave|here|me|value|aqui|access|client).*"
    r"|(?:v?\d+(?:[.:,/-]\d+)+[a-z]{0,3}\d{0,3}(?:[-+].*)?)"  # versions, dates, times, ranges, prices
    r"|\d+(?:[.,]\d+)?(?:[a-z]{1,3}|%|tokens?|bytes|chars)|(?:sha\d+|md5)[:=-].*"  # amounts, digests
    r"|\d+x\d+|(?:ctrl|cmd|alt|shift|super|meta|fn)[+-].*"  # sizes, keys to press
    r"|#?\d{1,3}|(?:line|step|page|phase|part|test|issue|day|node|python|utf|sha|md|http"
    r"|oauth|web|base|rfc|es|h|v|c|level)[-_ ]?\d{1,4})$"
)
DOTTED_CODE = re.compile(r"(?i)[a-z_][\w-]*(?:\.[a-z_][\w-]*)+")  # user.password, file names
COMMON_WORDS = """
string text required optional number boolean true false null none undefined secret password passwords passphrase
hidden masked redacted invalid missing incorrect wrong correct empty default unknown changed expired generated random
encrypted hashed plaintext varchar unicode object function return integer disabled enabled username anonymous forgot
nothing something anything everything senha obrigatória obrigatório inválida errada incorreta esquecida vazia
"""
WORDS_WITHOUT_MEANING = frozenset(COMMON_WORDS.split())
NAMES_A_SECRET = re.compile(r"(?i)pass|secret|token|senha|pwd|key|auth|user|login|cred|field|input|config")
UUID = re.compile(r"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
HEX = re.compile(r"(?i)[0-9a-f]{16,}")
PARTS = re.compile(r"[^A-Za-z0-9]+")
ARGUMENT = re.compile(r"(?i)[a-z_]\w*=[^=]")  # pass `limit=42`
CHARACTER_KIND = str.maketrans(
    {**dict.fromkeys(ascii_lowercase, "a"), **dict.fromkeys(ascii_uppercase, "A"), **dict.fromkeys(digits, "0")}
)
PIN_WORDS = ("pin", "passcode", "password", "senha", "palavra", "passwd", "pwd", "código", "codigo")


def is_secret(  # noqa: PLR0911 - one line a case
    value: str, said: Said, group: str, name: str, *, quoted: bool
) -> bool:
    """Judges ``value``; ``group`` is "password", "short" or "token" and ``name`` the word itself, in lower case."""
    numbers = sum(c.isdigit() for c in value)
    signs = sum(c in SIGNS for c in value.strip("*&").rstrip("!?"))
    if not numbers and not signs and " " not in value:  # most values, and the cheapest to judge
        return _is_word_password(value, said, group, name, quoted=quoted) and not is_placeholder(value)
    if len(value) < 4 or is_placeholder(value):
        return False
    if " " in value or "\t" in value:
        return quoted and name.startswith("passphrase") and value.count(" ") >= 2
    plainly = said in (Said.ASSIGNED, Said.SAID)
    if not any(c.isalpha() for c in value):
        pin = plainly and name.startswith(PIN_WORDS) and 4 <= numbers <= 12
        return pin or (signs > 0 and len(value) >= 6 and group != "token")
    if group == "token":
        named_whole = (
            " d" in name and said is Said.ASSIGNED and len(value) >= 8 and numbers >= 2
        )  # token de acesso = ...
        return named_whole or _is_token(value, name, loose=plainly or quoted)
    if group == "short":
        return _is_after_short(value, said, name, numbers=numbers, signs=signs)
    if plainly or quoted:
        return len(value) >= 6
    if name.startswith("secret"):  # get secret app-tls-2
        return signs > 0 or (len(value) >= 16 and _is_token(value, name, loose=True))
    return len(value) >= 6 and (signs > 0 or numbers >= 2 or (len(value) >= 10 and _has_cases(value)))


def _is_after_short(value: str, said: Said, name: str, *, numbers: int, signs: int) -> bool:
    """After "pass", "login", "creds" and the like, which have other meanings: longer, and no argument of a call."""
    if name == "pin" or (
        name.startswith("login") and said is not Said.PAIR
    ):  # a pin is a number, a login mostly a name
        return False
    strong = signs > 0 or numbers >= 2 or (len(value) >= 10 and _is_token(value, name, loose=True))
    return len(value) >= 8 and strong and not ARGUMENT.match(value)


def is_drawn(word: str) -> bool:
    """Whether ``word`` looks drawn by lot: small and capital letters, digits and signs follow each other without order.

    Drawn letters and digits change their kind at 0.62 of the places, hexadecimal digits at 0.47; names that
    people give, camel case and numbers in them included, at 0.1 to 0.3.
    """
    kinds = word.translate(CHARACTER_KIND)
    return sum(a != b for a, b in pairwise(kinds)) >= 0.38 * len(word)


def is_placeholder(value: str) -> bool:
    """Whether ``value`` only stands for one: a variable, a template, <your-password-here>."""
    value = value.strip("*&")
    if NOT_ONE.match(value) or value.lower() in WORDS_WITHOUT_MEANING:
        return True
    return bool(DOTTED_CODE.fullmatch(value)) and not is_drawn(value)


def _is_word_password(value: str, said: Said, group: str, name: str, *, quoted: bool) -> bool:
    """Letters alone: only where a password is plainly written down, not where something is said of it."""
    if group != "password" or name.startswith(("secret", "segredo")) or not 6 <= len(value) <= 40:
        return False
    if value.lower() in WORDS_WITHOUT_MEANING or NAMES_A_SECRET.search(value):
        return False
    mixed = value.isalpha() and not value[1:].islower() and not value.isupper() and len(value) >= 10
    return (quoted and said is not Said.BEFORE) or (mixed and said is Said.SAID)


def _is_token(value: str, name: str, *, loose: bool) -> bool:
    """Long and without words in it: a run that mixes letters and digits, an UUID, a long hexadecimal number."""
    if UUID.fullmatch(value):
        return loose and name not in ("key", "chave")
    longest = max(PARTS.split(value), key=len)
    if loose and len(value) >= 10 and any(c in "!@#%^&*?+" for c in value[1:-1]):
        return True
    mixed = any(c.isdigit() for c in longest) and any(c.isalpha() for c in longest)
    cases = _has_cases(longest)
    if name in ("key", "auth", "salt") or not loose:
        return (mixed and cases and len(value) >= 16) or (bool(HEX.fullmatch(value)) and len(value) >= 32 and loose)
    if HEX.fullmatch(value):
        return True
    return mixed and (len(longest) >= (8 if " d" in name else 10) or (len(longest) >= 6 and len(value) >= 16))


def _has_cases(word: str) -> bool:
    return any(c.islower() for c in word) and any(c.isupper() for c in word)
