"""Whether a message asks to be remembered ("remember that …", "lembra-te de que …"), and what of it (pure)."""

import re
from collections.abc import Sequence

from memory.pastes import pasted_ranges
from memory.ranges import without

MAX_CHARS = 600
"""A longer text is no one thing to remember; it stays in the transcript, where recall finds it."""
_PLEASE = r"(?:(?:please|pls|hey|ok|okay|so|and|now|also|oh|por favor|se faz favor|olha|ent[aã]o|e|ah)[,!]?\s+)*"
_NAME = r"(?:@?cl[aá]udio[,:!]?\s+)?"
_KEEP = r"(?:a note|note|notes?|in mind|nota|em mente)"
_FACT = (
    r"(?=[^?\n]*(?:\d|[’']s\b|\b(?:is|are|was|were|am|im|has|have|likes?|lives?|prefers?|needs?|wants?|hates?|works?|"
    r"runs?|owes?|loves?|means?|never|always|every)\b))"
)
"""What follows a bare "remember" must state something: "remember the milk" is an errand."""
_ASKS = re.compile(
    rf"^\W*{_PLEASE}{_NAME}{_PLEASE}(?:"
    # English
    r"(?:(?:can|could|will|would) you (?:please )?)?(?:"
    r"(?:do )?remember(?: this| the following)?(?:\s*:|,? that\b|\s*[-–—]\s)"
    rf"|remember (?!(?:when|how|what|why|where|who|which|to|me|us|the (?:time|day|last)|that|this|last)\b){_FACT}"
    rf"|(?:please )?(?:make|take|keep) {_KEEP}(?: of (?:this|the following))?(?:\s*:|,? (?:that|of)\b|\s*[-–—]\s)"
    rf"|keep in mind(?:\s*:|,? that\b)|bear in mind(?:\s*:|,? that\b)"
    r"|(?:note|write) down(?:\s*:|,? that\b)|note(?:\s*:|,? that\b(?! for\b))|"
    r"don'?t (?:you )?(?:ever )?forget(?:\s*:|,? that\b)"
    r"|never forget(?:\s*:|,? that\b)"
    r"|for (?:the|your) (?:record|memory)\s*[:,])"
    # Portuguese
    r"|(?:podes |pode |consegues )?(?:lembra(?:-te|r-te|-se|r-se)?|lembre(?:-se)?|recorda(?:-te|r-te)?|"
    r"recorde(?:-se)?)"
    r"(?: disto| disso| do seguinte)?(?:\s*:|,?\s+(?:de\s+)?que\b|\s*[-–—]\s)"
    r"|n[aã]o (?:te |se )?(?:esque[cç]as|esque[cç]a)(?:-te|-se)?(?: nunca)?(?: disto)?(?:\s*:|,?\s+(?:de\s+)?que\b)"
    r"|(?:nunca )(?:te |se )?esque[cç]as?(?:\s*:|,?\s+(?:de\s+)?que\b)"
    r"|(?:toma|tome|tomar) (?:boa )?nota(?: disto)?(?:\s*:|,?\s+(?:de\s+)?que\b)"
    r"|(?:anota|anote|aponta|aponte|regista|registe|guarda|guarde|fixa|fixe)(?: na mem[oó]ria| a[ií]|"
    r" isto)?(?:\s*:|,?\s+que\b)"
    r"|fica a saber(?:\s*:|,?\s+que\b)|(?:tem|tenha) em (?:mente|conta)(?:\s*:|,?\s+que\b)"
    r"|para (?:te )?lembrares\s*[:,])\s*",
    re.IGNORECASE,
)
_ASKS_LAST = re.compile(
    r"^\W*(?:and |so |e )?(?:please |pls |por favor,? )?(?:remember(?: (?:this|that|it))?|note (?:it|this|"
    r"that)(?: down)?|"
    r"keep (?:it|this|that) in mind|(?:lembra-te|lembre-se)(?: d?isso| d?isto)?|(?:guarda|anota|aponta|toma nota d)"
    r"(?: )?(?:isso|isto))(?: for me| please| pls| por favor)?\W*$",
    re.IGNORECASE,
)
_FACT_ALONE = re.compile(_FACT, re.IGNORECASE)
_TO_DO = re.compile(r"^to\s+\w+", re.IGNORECASE)
_QUESTION = re.compile(
    r"^\W*(?:do|did|don'?t|didn'?t) you remember\b|^\W*(?:lembras-te|lembra-se|recordas-te|sabes|"
    r"sabe)\b",
    re.IGNORECASE,
)
_COURTESY = re.compile(r"(?:thanks?|thank you|ok\b|okay|obrigad[oa]|please|por favor|got it|cheers)", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“«][^\"”»]{40,}(?:[\"”»]|\Z)")
_SENTENCE = re.compile(r"(?<=[.!?…])\s+(?=\S)")


def asked_to_remember(text: str) -> str:
    """What the person asks to be kept, as one line; "" when they ask for nothing of the kind.

    Only words that they typed count, and of these the first line alone: no sign tells every paste further down, and
    what a paste or a quotation says is nobody's wish. A sentence begins with the request, or it is the last one ("The
    key is under the mat. Remember that."). A question ("do you remember that …?") and an errand ("remember to …") are
    no such request. What follows counts up to a question or thanks.
    """
    typed = without(text, ranges) if (ranges := pasted_ranges(text)) else text
    lines = _QUOTED.sub("", typed).strip().split("\n")
    if len(lines) > 1 and lines[0].rstrip().endswith(":"):  # a list under the request
        lines = [" ".join(line.strip(" \t-*") for line in lines)]
    sentences = _SENTENCE.split(lines[0].strip())
    for number, sentence in enumerate(sentences):
        if _QUESTION.match(sentence):
            continue
        if found := _ASKS.match(rest := " ".join(sentences[number:])):
            if kept := _thing(_SENTENCE.split(rest[found.end() :])):
                return kept
        elif number and number == len(sentences) - 1 and len(lines) == 1 and _ASKS_LAST.match(sentence):
            before = [one for one in sentences[:number] if not one.endswith("?")]
            if before and _FACT_ALONE.match(" ".join(before)):
                return _thing(before)
    return ""


def _thing(sentences: Sequence[str]) -> str:
    kept: list[str] = []
    for sentence in sentences:
        if sentence.endswith("?") or (kept and _COURTESY.match(sentence)):
            break
        kept.append(" ".join(sentence.split()))
    thing = " ".join(kept).strip(" :,–—-\"'“”«»")
    if _TO_DO.match(thing) or len(thing.split()) < 2 or len(thing) > MAX_CHARS:
        return ""
    return thing[0].upper() + thing[1:]
