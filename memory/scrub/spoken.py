"""Secrets of no known format, told only by the words around them, in English, Portuguese and code.

The base's rules for these ask for a name and a value side by side in code. In a talk it is "a senha do servidor é ...",
"it asks for a password, type ...", "credenciais: ana / ...". So: first a word that names a secret, then a short bridge
of words and signs, then one value, which must look like something that is written for no other reason
(``memory.scrub.plausible``). Every pattern is bounded, and is matched at one place only, never searched.
"""

import re
from typing import NamedTuple

from memory.scrub.plausible import Said, is_secret
from memory.scrub.spans import SPOKEN, Span

CHAVE = r"chaves?(?: (?:secreta|privada|mestra))?(?: d[aeo]s? (?:api|acesso|servidor|cliente|conta))?(?![a-z])"

# Looked for one after the other with str.find, which is ten times faster than one pattern of all: the piece that every
# name of a secret contains, what may complete it, and the group of names it makes.
STEMS = {
    "pass": ("password", re.compile(r"pass(?:words?|wd|wort|phrases?|code)"), False),
    "pass ": ("short", re.compile(r"pass(?=[ \t])"), True),
    "passe": ("short", re.compile(r"passe(?![a-z])"), True),
    "pass:": ("short", re.compile(r"pass"), True),
    "pass=": ("short", re.compile(r"pass"), True),
    "pass'": ("short", re.compile(r"pass"), True),
    'pass"': ("short", re.compile(r"pass"), True),
    "sshpass -p": ("password", re.compile(r"sshpass -p"), False),
    "pw": ("short", re.compile(r"pw(?![a-z])"), True),
    "psk": ("short", re.compile(r"psk(?![a-z])"), True),
    "pwd": ("password", re.compile(r"pwd"), False),
    "pswd": ("password", re.compile(r"pswd"), False),
    "secret": ("password", re.compile(r"secrets?"), False),
    "senha": ("password", re.compile(r"senhas?"), False),
    "contrase": ("password", re.compile(r"contrase[ñn]as?"), False),
    "segredo": ("password", re.compile(r"segredos?"), False),
    "login": ("short", re.compile(r"logins?(?![a-z])"), True),
    "cred": ("short", re.compile(r"cred(?:s|entials?|encia(?:l|is))(?![a-z])"), True),
    "pin": ("short", re.compile(r"pin(?![a-z])"), True),
    "token": ("token", re.compile(r"tokens?(?: de acesso)?"), False),
    "key": ("token", re.compile(r"keys?"), False),
    "auth": ("token", re.compile(r"auth(?:orization)?(?![a-z])"), True),
    "bearer": ("token", re.compile(r"bearer(?![a-z])"), True),
    "salt": ("token", re.compile(r"salt(?![a-z])"), True),
    "chave": ("token", re.compile(CHAVE), True),
    "digo de": ("token", re.compile(r"digo de (?:acesso|seguran[çc]a)"), False),
}  # fmt: skip
# "key" and "chave" alone name many things; with one of these before them, a secret.
QUALIFIED = re.compile(
    r"(?:api|access|secret|private|signing|encryption|auth|account|client|master|service|session|shared|licen[sc]e"
    r"|webhook|app|application|admin|deploy|subscription|hmac|aes|jwt|cookie|rest|server|ingest|project|security|storage"
    r"|encrypt|hash|user|prod|live|test)[ _.-]?$"
)
PORTUGUESE = re.compile(r"palavras?[ _-]$")


class Name(NamedTuple):
    """A word that names a secret: ``lower[start:end]``, of the group "password", "short" or "token"."""

    start: int
    end: int
    group: str
    word: str


# What an identifier that only speaks of a secret ends with.
OTHER_TAIL = re.compile(
    r"(?i)^[_.-]?(?:hash|digest|ids?|counts?|names?|paths?|files?|urls?|uri|types?|len|length|limits?|size|budget|field"
    r"|input|label|reset|expir\w*|ttl|version|regex|pattern|policy|index|usage|used|per|s?_?(?:in|out)|hint|manager)(?![a-z])"
)
OTHER_HEAD = re.compile(
    r"(?i)(?:max|min|num|total|prompt|completion|input|output|new|public|primary|foreign|sort|cache|row|partition|count|csrf"
    r"|page|next|n)[_ .-]?$"
)

VALUE = (
    r"(?:[rbfu]?\\?(?P<q>[\"'`“«‘])(?P<quoted>[^\"'`“”«»\n]{4,256}?)\\?[\"'`”»’]"
    r"|(?P<bare>[^\s\"'`“”«»<>(){},;|\\]{4,256}))"
)
WORD = r"[^\s\"'`=:,.;!?()]{1,20}"
REST = r"(?P<tail>[A-Z0-9_]{0,24})[\"'`*]{0,3}"
SIGN = (
    r"(?:=>|:=|==?|->|→|:|=|,(?=[ \t]?[\"'])|\*\*:|>(?=[^\s=>])"
    r"|[ \t\n,]{1,24}[\"']?value[\"']?[ \t]?[:=])"  # name: API_TOKEN, value: ...
)
ASSIGNED = re.compile(
    r"(?P<tail>[A-Za-z0-9_.\[\]-]{0,24})[\"'`\])*]{0,4}(?:[ \t]?\(\w{1,12}\))?[ \t]{0,8}"
    rf"{SIGN}[ \t*]{{0,8}}(?:\n[ \t]{{0,8}}(?=[\"'`]))?{VALUE}"
)
IS = r"(?:is|was|were|are|as|to|é|era|foi|será|são|ficou|fica|para|por|está|continua|vale|says|reads|it's|its|be)"
STILL = r"(?:now|still|agora|just|ainda|então|probably|a|mesma)"
SAID = re.compile(
    rf"{REST}(?:[ \t]{WORD}){{0,6}}?[ \t]?"
    rf"(?:[ \t]{IS}(?:[ \t]{STILL})?:?|['’]s(?:[ \t]now)?|:|->|=>|=|→)[ \t]{{1,3}}{VALUE}"
)
DO = (
    r"(?:type|enter|use|try|put|set|write|paste|escreve|usa|mete|põe|insere|digita|escreva|tenta|here|aqui|de|da|do|the|acesso"
    r"|new|nova|novo|on|for|em)"
)
TYPED = re.compile(rf"{REST}(?:,?[ \t]{DO}){{0,3}}[ \t]{{1,3}}{VALUE}")
NEXT_LINE = re.compile(rf"{REST}(?:[ \t]{WORD}){{0,6}}?[ \t]?:[ \t*]{{0,4}}\n{{1,2}}[ \t>*`-]{{0,8}}\n?{VALUE}")
PAIR = re.compile(
    rf"(?P<tail>)[ \t]{{0,3}}[:=]?[ \t]{{0,3}}[\w.@+-]{{1,64}}[ \t]?(?:/|:|,|\||\be\b|\band\b)[ \t]?{VALUE}"
)
MOST_LINKS = 3
NEXT_FIELD = re.compile(r"&(?=[\w-]{1,40}=)")  # of the query of an address
BEFORE = re.compile(r"[\s\"'`](?:is|as|é|como|for|era|was|=)(?:[ \t][A-Za-zéãõçáóí]{1,12}){0,3}[ \t]$")
LAST_WORD = re.compile(r"([^\s\"'`<>(){},;|]{6,256})[\"'`),]{0,2}$")
SEED = re.compile(r"[^\n\"'`]{0,40}?[:=\n\"'`]{1,3}\s{0,4}[\"'`]?((?:[a-z]{3,8}[ \n]){11,23}[a-z]{3,8})")


def spoken_spans(text: str) -> list[Span]:
    """The values that ``text`` calls a password, token or key, in time linear in its length."""
    lower = text.lower()
    if len(lower) != len(text):  # a few capital letters grow when lowered; places must stay those of the text
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    spans: list[Span] = []
    taken = 0
    for name in _names(lower):
        if name.start < taken:
            continue
        span = _after(text, name) or _before(text, name)
        if span:
            spans.append(span)
            taken = span.end
    for mark in ("seed", "recovery", "mnemonic", "frase"):
        at = lower.find(mark)
        while at >= 0:
            if seed := SEED.match(lower, at + len(mark)):
                spans.append(Span(*seed.span(1), "SEED_PHRASE", SPOKEN))
            at = lower.find(mark, at + len(mark))
    return spans


def _names(lower: str) -> list[Name]:
    names = []
    for stem, (stem_group, pattern, alone) in STEMS.items():
        at = lower.find(stem)
        while at >= 0:
            start, group = at, stem_group
            match = pattern.match(lower, at)
            if stem in ("passe", "chave") and (before := PORTUGUESE.search(lower, max(at - 9, 0), at)):
                start, group = before.start(), "password"
            if match and (start < at or not alone or not (at and lower[at - 1].isalpha())):
                word = match[0]
                if stem == "key":
                    qualified = QUALIFIED.search(lower, max(at - 14, 0), at)
                    word = "api key" if qualified else "key"
                    alone_too = qualified or not (at and lower[at - 1].isalpha())
                    names += [Name(start, match.end(), group, word)] if alone_too else []
                else:
                    names.append(Name(start, match.end(), group, word))
            at = lower.find(stem, at + len(stem))
    return sorted(names)


def _after(text: str, name: Name) -> Span | None:
    start, end = name.start, name.end
    if name.group == "token" and OTHER_HEAD.search(text, max(start - 12, 0), start):
        return None
    if OTHER_TAIL.match(text[end : end + 24]):
        return None
    if end < len(text) and text[end].islower() and text[end - 1].islower():  # another word: tokenizer, passwordless
        return None
    pair = name.group == "short" or name.word.startswith("secret")
    bridges = [(Said.ASSIGNED, ASSIGNED), (Said.SAID, SAID), (Said.TYPED, TYPED), (Said.TYPED, NEXT_LINE)]
    if pair:
        bridges.append((Said.PAIR, PAIR))
    for said, bridge in bridges:
        match = bridge.match(text, end)
        for _ in range(MOST_LINKS):  # "was changed to": the first link leads to another
            if not match or OTHER_TAIL.match(match["tail"]):
                break
            which = "quoted" if match["quoted"] else "bare"
            at = match.start(which)
            value = match[which] if which == "quoted" else NEXT_FIELD.split(match[which], 1)[0].rstrip(".,;:*_")
            variable = said is Said.TYPED and text[start:end].isupper() and "_" in text[max(start - 1, 0) : end + 1]
            how = Said.ASSIGNED if variable else said  # setx API_TOKEN value
            if is_secret(value, how, name.group, name.word, quoted=which == "quoted"):
                return Span(at, at + len(value), _kind(name), SPOKEN)
            match = bridge.match(text, at - 1) if said is Said.SAID else None
    return None


def _before(text: str, name: Name) -> Span | None:
    """'... is the password', 'usa ... como senha'."""
    link = BEFORE.search(text, max(name.start - 48, 0), name.start)
    if not link:
        return None
    window = max(link.start() - 260, 0)
    value = LAST_WORD.search(text[window : link.start()].rpartition(" ")[2])
    if not value or not is_secret(value[1], Said.BEFORE, name.group, name.word, quoted=False):
        return None
    at = link.start() - len(value.string) + value.start(1)
    return Span(at, at + len(value[1]), _kind(name), SPOKEN)


def _kind(name: Name) -> str:
    return "SECRET" if name.group == "token" else "PASSWORD"
