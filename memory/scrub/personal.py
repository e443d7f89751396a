"""E-mail addresses, and by their check digits IBAN and card numbers and Portuguese and Brazilian identifiers."""

import re
from collections.abc import Iterator

from memory.scrub.phones import phone_spans
from memory.scrub.spans import PERSONAL, Span, joined

LOCAL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-'áàâãéêíóôõúüçñÁÀÂÃÉÊÍÓÔÕÚÜÇÑ"
DOMAIN = re.compile(r"[A-Za-z0-9À-ÿ-]{1,63}(?:\.[A-Za-z0-9À-ÿ-]{1,63}){1,8}")
# They end like a domain but are files, and mailboxes that belong to no person.
FILES = "png jpg jpeg gif webp svg ico pdf py js ts tsx jsx mjs css html json md txt go rs sh toml yaml yml lock"
FILE_ENDINGS = frozenset(FILES.split())
NOBODY = re.compile(
    r"(?i)^(?:no-?reply|do-?not-?reply|notifications?|mailer-daemon|git|root)$|^\d+\+[\w-]+\[bot\]$|users\.noreply"
)

# https://www.swift.com/standards/data-standards/iban-international-bank-account-number
COUNTRIES = """
AD24 AE23 AL28 AO25 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CV25 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24
FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 GW25 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21
LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 MZ25 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31
SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
"""
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in COUNTRIES.split()}
IBAN_DIGITS = re.compile(r"[0-9]{2}(?=[ -]?[A-Za-z0-9]{4}[ -]?[A-Za-z0-9]{4})")
LONGEST_IBAN_CHARS = 46
CARD = re.compile(r"(?<![\w.,+-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w]|[.,-]\d)")
CARD_KIND = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}|50\d{14}|63(?:6368|6297|7095|7568|7599|7609|7612)\d{10}"
)
ID_NUMBER = re.compile(
    r"(?<![\w.,/-])(?:(?P<cpf>\d{3}\.\d{3}\.\d{3}-\d{2})|(?P<cnpj>[\dA-Z]{2}\.[\dA-Z]{3}\.[\dA-Z]{3}/[\dA-Z]{4}-\d{2})"
    r"|(?:PT[ ]?)?(?P<digits>\d(?:[ .]?\d){8,13})|(?P<letters>[\dA-Z]{12}\d{2}))(?![\w]|[.,-]\d)"
)
# Nine digits with a fitting check digit are one number in eleven: these need their name close by.
NIF_NEAR = re.compile(r"(?i)\b(?:nif|nipc|contribuinte|fiscal|vat|tax|pt ?\d|finanças|fatura|tin)")
NISS_NEAR = re.compile(r"(?i)\bniss\b|seguran[çc]a social|social security|\bss\b")
CPF_NEAR = re.compile(r"(?i)\bcpf\b|cadastro de pessoa")
CNPJ_NEAR = re.compile(r"(?i)\bcnpj\b|cadastro nacional")
NEAR_CHARS = 48


def personal_spans(text: str) -> list[Span]:
    """Every piece of personal data in ``text``, in time linear in its length."""
    spans = list(_emails(text)) if "@" in text else []
    numbers = list(_ibans(text))
    for start, end in _dense(text):
        numbers += _cards(text, start, end)
        numbers += _identifiers(text, start, end)
        numbers += phone_spans(text, start, end)
    return spans + joined(numbers, [])


# Where a number of at least eight digits stands, and what may belong to it on both sides; the patterns of the numbers
# are slow and need not look elsewhere.
DENSE = re.compile(r"[0-9](?:[ .()/-]{0,2}[0-9]){7,63}")
CNPJ_LETTERS = re.compile(
    r"[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-[0-9]{2}|(?<![0-9A-Za-z])[0-9A-Z]{12}[0-9]{2}(?![0-9A-Za-z])"
)
MARGIN_CHARS = 8


def _dense(text: str) -> list[tuple[int, int]]:
    found = [m.span() for m in DENSE.finditer(text)]
    if "CNPJ" in text or "cnpj" in text:
        found += [m.span() for m in CNPJ_LETTERS.finditer(text)]
    return found


def _emails(text: str) -> Iterator[Span]:
    at = text.find("@")
    while at >= 0:
        before = text[max(at - 64, 0) : at]
        local = before[len(before.rstrip(LOCAL)) :].lstrip(".'-%")
        domain = DOMAIN.match(text, at + 1)
        if local and domain:
            host = domain[0].rstrip(".-")
            start, end = at - len(local), at + 1 + len(host)
            ending = host.rpartition(".")[2]
            in_address = text[max(start - 1, 0) : start] in (":", "/") and "://" in text[max(start - 140, 0) : start]
            named = len(ending) >= 2 and ending.isalpha() and ending.lower() not in FILE_ENDINGS
            if named and not in_address and not NOBODY.search(local) and "noreply" not in host:
                yield Span(start, end, "EMAIL", PERSONAL)
        at = text.find("@", at + 1)


def _ibans(text: str) -> Iterator[Span]:
    for match in IBAN_DIGITS.finditer(text):
        start = match.start() - 2
        size = IBAN_LENGTHS.get(text[max(start, 0) : match.start()].upper(), 0)
        if not size or (start and text[start - 1].isalnum()):
            continue
        count = 0
        for i, char in enumerate(text[start : start + LONGEST_IBAN_CHARS]):
            count += char.isalnum()
            if count == size:
                end = start + i + 1
                whole = end == len(text) or not text[end].isalnum()
                if whole and is_iban(text[start:end]):
                    yield Span(start, end, "IBAN", PERSONAL)
                break


def _cards(text: str, start: int, end: int) -> Iterator[Span]:
    for match in CARD.finditer(text, start, min(end + 1, len(text))):
        number = re.sub(r"[ -]", "", match[0])
        if CARD_KIND.fullmatch(number) and is_luhn(number):
            yield Span(*match.span(), "CARD", PERSONAL)


def _identifiers(text: str, start: int, end: int) -> Iterator[Span]:
    for match in ID_NUMBER.finditer(text, max(start - MARGIN_CHARS, 0), min(end + MARGIN_CHARS, len(text))):
        start, end = match.span()
        number = re.sub(r"[^0-9A-Z]", "", match[match.lastgroup or 0])
        near = text[max(start - NEAR_CHARS, 0) : end + 16]
        kind = ""
        if match["cpf"] or (len(number) == 11 and CPF_NEAR.search(near)):
            kind = "CPF" if is_cpf(number) else ""
        elif match["cnpj"] or (len(number) == 14 and CNPJ_NEAR.search(near)):
            kind = "CNPJ" if is_cnpj(number) else ""
        elif len(number) == 9 and NIF_NEAR.search(near):
            kind = "NIF" if is_nif(number) else ""
        elif len(number) == 11 and NISS_NEAR.search(near):
            kind = "NISS" if is_niss(number) else ""
        if kind:
            yield Span(start, end, kind, PERSONAL)


def is_iban(text: str) -> bool:
    """ISO 13616: country, length and the remainder 1 modulo 97."""
    code = re.sub(r"[ -]", "", text).upper()
    if not code.isascii() or not code.isalnum() or IBAN_LENGTHS.get(code[:2]) != len(code):
        return False
    return int("".join(str(int(c, 36)) for c in code[4:] + code[:4])) % 97 == 1


def is_luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [int(c) * (1 + i % 2) for i, c in enumerate(reversed(number))]
    return len(set(number)) > 1 and sum(d - 9 * (d > 9) for d in doubled) % 10 == 0


def is_nif(number: str) -> bool:
    """Portuguese tax number: nine digits, the last by weights 9 to 2 modulo 11."""
    if not re.fullmatch(r"(?:[1235689]\d|45|7[0124579])\d{7}", number, re.ASCII):
        return False
    rest = sum(int(c) * w for c, w in zip(number, range(9, 1, -1), strict=False)) % 11
    return int(number[8]) == (0 if rest < 2 else 11 - rest)


def is_niss(number: str) -> bool:
    """Portuguese social-security number: eleven digits, the last by ten prime weights."""
    if not re.fullmatch(r"[12]\d{10}", number, re.ASCII):
        return False
    weights = (29, 23, 19, 17, 13, 11, 7, 5, 3, 2)
    return int(number[10]) == 9 - sum(int(c) * w for c, w in zip(number, weights, strict=False)) % 10


def is_cpf(number: str) -> bool:
    """Brazilian personal tax number: eleven digits, the last two modulo 11."""
    if not re.fullmatch(r"\d{11}", number, re.ASCII) or len(set(number)) == 1:
        return False
    return all(
        sum(int(c) * (n + 1 - i) for i, c in enumerate(number[:n])) * 10 % 11 % 10 == int(number[n]) for n in (9, 10)
    )


def is_cnpj(number: str) -> bool:
    """Brazilian company number, digits or (since July 2026) letters, the last two modulo 11 of code - 48."""
    if not re.fullmatch(r"[0-9A-Z]{12}[0-9]{2}", number) or len(set(number)) == 1:
        return False
    for n in (12, 13):
        weights = [(n - 1 - i) % 8 + 2 for i in range(n)]
        rest = sum((ord(c) - 48) * w for c, w in zip(number, weights, strict=False)) % 11
        if int(number[n]) != (0 if rest < 2 else 11 - rest):
            return False
    return True
