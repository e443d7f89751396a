"""Whether a text gives orders to an assistant, in English and Portuguese: the wording of prompt injections (pure).

``strong_commands`` are those that hardly stand anywhere else; ``commands`` adds what a page, mail or paste says to a
machine but a tool's output may say to anybody. The text is compared without accents and case, so one pattern does for
``instruções`` and ``instrucoes``.
"""

import re
import unicodedata
from collections.abc import Iterator

_RULES = (
    r"(?:instruc\w*|prompts?|rules?|guidelines?|directives?|programming|orders|"
    r"regras|orientac\w+|ordens|diretri\w+)"
)
_BEFORE = (
    r"(?:previous|prior|above|earlier|preceding|former|initial|original|your|all|any|system|"
    r"anteriores|acima|previas|iniciais|originais|tuas|suas|teus|seus|todas|todos|sistema)"
)
_PERSON = r"(?:user|human|owner|person|operator|utilizador|usuario|humano|dono|dona|pessoa)"
_DROP = r"(?:ignore|disregard|forget|override|bypass|discard)"
_LARGA = r"(?:ignor[ae]m?|desconsider[ae]m?|esquec[ae]m?|esquece|abandon[ae])"
_TELL = r"(?:tell|inform|alert|notify|warn|reveal)(?:ing)?"
_DIZ = r"(?:dig|diz|cont|inform|avis|revel|alert)\w*"
_MACHINE = r"(?:ai|llm|language model|assistant)"
_MAQUINA = r"(?:ia|llm|modelos? de linguagem|assistentes?)"
_PRIVY = (
    r"(?:passwords?|secrets?|api keys?|credentials|tokens?|memory\.md|system prompt|"
    r"senhas?|palavras?-passe|credenciais|chaves?)"
)


def _gap(words: int) -> str:
    """Up to so many words in between."""
    return rf"(?:\W+\w+){{0,{words}}}?\W+"


_STRONG = re.compile(
    "|".join(
        (
            rf"\b{_DROP}\b{_gap(4)}{_BEFORE}{_gap(3)}{_RULES}\b",
            rf"\b{_LARGA}\b{_gap(3)}{_RULES}{_gap(3)}{_BEFORE}\b",
            rf"\b{_LARGA}\b{_gap(2)}(?:todas|tuas|suas){_gap(2)}{_RULES}\b",
            rf"\b(?:do not|don'?t|never|must not|without) {_TELL}{_gap(4)}(?:the|your) {_PERSON}\b",
            rf"\b(?:nao|nunca|sem) {_DIZ}{_gap(4)}(?:ao|a|o|teu|seu) {_PERSON}\b",
            r"\byou are now (?:a|an|the|called|known as|dan|no longer|free (?:of|from)|in (?:\w+ )?mode)\b",
            r"\b(?:new|updated|real|hidden) (?:system )?(?:prompt|instructions?)(?: for (?:you|the \w+))?\s*:",
            r"\bnov[ao]s? (?:instrucoes|instrucao|prompt)(?: d[eo] sistema)?\s*:",
            r"<\|im_start\|>\s*system|<\|start_header_id\|>\s*system|\[inst\][^\[]{0,60}\byou\b|<<sys>>",
            r"\b(?:attention|note|message|notice|important|instructions?) (?:to|for) (?:(?:the|all|any) )?"
            rf"{_MACHINE}s?\b(?: \w+){{0,2}}\s*[:,!]",
            rf"\b(?:atencao|nota|mensagem|aviso|instrucoes) (?:para|a|ao|aos) (?:(?:o|a|os|as) )?{_MAQUINA}\b"
            r"[^\n.]{0,30}[:,!]",
        )
    )
)
_WEAK = re.compile(
    "|".join(
        (
            r"\byou are now\b|\b(?:agora|a partir de agora),? (?:tu )?(?:es|voce e|passas a ser|sois)\b",
            # Programs say this of their own ids and reminders, so it is no strong sign.
            rf"\b(?:do not|don'?t|never) mention(?:ing)?{_gap(4)}(?:the|your) {_PERSON}\b",
            rf"\b(?:nao|nunca) mencion\w+{_gap(4)}(?:ao|a|o|teu|seu) {_PERSON}\b",
            r"\bfrom now on\b|\b(?:de agora em diante|a partir de agora|doravante|daqui em diante)\b",
            rf"\b(?:reply|answer|respond|say|output|print|write)\b{_gap(3)}(?:only|just|exclusively|nothing but)\b",
            r"\b(?:only|just|always) (?:reply|answer|respond|say|output)\b",
            rf"\b(?:respond[ae]|diz|diga|escrev[ae])\b{_gap(3)}(?:apenas|so|somente|unicamente|exclusivamente|sempre)\b",
            r"\b(?:apenas|so|somente|sempre) (?:respond[ae]|diz|diga|escrev[ae])\b",
            r"\b(?:your|the) new (?:role|task|name|instructions?|goal)\b",
            r"\b(?:a tua|o teu|a sua|o seu) nov[ao] (?:tarefa|papel|nome|missao|funcao)\b",
            r"\byou must (?:now|always|only|never|not|reply|respond|answer|say|include|obey|follow|tell)\b",
            r"\b(?:deves?|tens de|tem de|tens que|tem que) (?:agora|sempre|apenas|responder|dizer|obedecer|incluir)\b",
            r"\b(?:pretend (?:to be|you)|act as (?:a|an|if)|finge que|finja que|age como|aja como)\b",
            rf"\b(?:as an?|dear|hey|if you are an?) {_MACHINE}\b|\b(?:se es um|se for um|car[oa]) {_MAQUINA}\b",
            r"\b(?:ai|llm) (?:assistants?|agents?|models?) (?:must|should|reading|processing|please)\b",
            r"(?:^|\n)\s*(?:#+ *)?(?:\*\*)?(?:system|sistema|assistant|assistente)(?:\*\*)?\s*:(?:\*\*)?\s*\S",
            r"<\|(?:im_start|im_end|system|assistant|user|start_header_id|eot_id)\|>|\[/?inst\]|</?system>",
            rf"\b(?:send|forward|e-?mail|upload|post|exfiltrate|reveal|leak|print)\b{_gap(8)}{_PRIVY}\b",
            rf"\b(?:envi|encaminh|revel)[ae]\b{_gap(8)}{_PRIVY}\b",
        )
    )
)
_VERBS = ("ignor", "disregard", "forget", "overrid", "bypass", "discard", "desconsider", "esquec", "esqueç", "abandon")
_PERSONS = (
    *("the user", "the human", "the owner", "the person", "the operator", "your user", "your human", "your owner"),
    *(" utilizador", " usu", " humano", " dono", " dona", " pessoa"),
)
_HEADINGS = (
    *("attention ", "notice ", "note to", "note for", "message to", "message for", "important to", "important for"),
    *("instruc", "instruç", "atenc", "atenç", "nota ", "mensagem ", "aviso "),
    *("you are now", "prompt:", "prompt for", "novo prompt", "<|im_start", "<|start_header", "[inst]", "<<sys"),
)
_SIGNS = (
    *((sign, 0, 160) for sign in _VERBS),
    *((sign, 110, 16) for sign in _PERSONS),
    *((sign, 24, 80) for sign in _HEADINGS),
)
"""(sign, characters before, characters after): one stands in whatever a strong pattern matches, and the match within
that distance; finding the signs first is far faster than the patterns over a tool's whole output."""


def commands(text: str) -> bool:
    """Whether untrusted text gives orders to an assistant."""
    plain = _plain(text)
    return bool(_STRONG.search(plain) or _WEAK.search(plain))


def strong_commands(text: str) -> bool:
    """Whether a text holds the wording of a prompt injection that hardly stands anywhere else."""
    return any(_STRONG.search(_plain(window)) for window in _windows(text.lower()))


def _windows(text: str) -> Iterator[str]:
    """The neighbourhoods of the signs in ``text``."""
    for sign, before, after in _SIGNS:
        position = text.find(sign)
        while position >= 0:
            yield text[max(0, position - before) : position + len(sign) + after]
            position = text.find(sign, position + 1)


def _plain(text: str) -> str:
    """Small letters without accents, typographic apostrophes straight, zero-width characters gone."""
    text = text.lower()
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKD", text).replace("’", "'")
    return "".join(char for char in text if unicodedata.category(char) not in ("Mn", "Cf"))
