"""The form in which a teacher is asked for rationale and reply, and how an answer in it is read."""

import re
from dataclasses import dataclass

# Stands behind the identity as the last part of the system prompt, the same for every question, so that providers
# cache it together with the identity.
FORM = """How to answer here: first write down, for yourself, why you will answer as you do: what is being asked, what \
you know that matters, and what the person needs (one to five sentences). Then write the reply itself, in your own \
voice, exactly as the person will read it. Use this form and write nothing outside it:

<rationale>
why
</rationale>
<reply>
the reply
</reply>"""

REPAIR = """Your answer was not in the form. Write the same answer once more, and only this:

<rationale>
why
</rationale>
<reply>
the reply
</reply>"""

# Names that models use for these two though they were asked for others.
RATIONALE = r"(?:rationale|reasoning|reason|thinking|think|thought)"
REPLY = r"(?:reply|answer|response)"
_REPLY_OPEN = re.compile(rf"<\s*{REPLY}\s*>", re.IGNORECASE)
_REPLY_CLOSE = re.compile(rf"<\s*/\s*{REPLY}\s*>", re.IGNORECASE)
_RATIONALE = re.compile(rf"<\s*{RATIONALE}\s*>(.*?)<\s*/\s*{RATIONALE}\s*>", re.IGNORECASE | re.DOTALL)
_RATIONALE_OPEN = re.compile(rf"<\s*{RATIONALE}\s*>", re.IGNORECASE)
_ANY_TAG = re.compile(rf"<\s*/?\s*(?:{RATIONALE}|{REPLY})\s*>", re.IGNORECASE)
_FENCE = re.compile(r"\A\s*```[a-z]*\s*\n(.*?)\n?```\s*\Z", re.IGNORECASE | re.DOTALL)
LEADING_LABEL = re.compile(rf"\A\s*\**{REPLY}\**\s*:\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parsed:
    """An answer taken apart; ``rationale`` may be empty, ``reply`` never is."""

    reply: str
    rationale: str


def parse(text: str) -> Parsed | None:
    """Reply and rationale of an answer in the form; None when they cannot be told apart safely.

    Forgiven: a code fence around all, other names for the tags, capitals, a reply that is not closed at the end, a
    reply without tags behind a closed rationale. Words before the first tag are dropped. What was written without any
    reply is None: a rationale must never be learnt as a reply.
    """
    fenced = _FENCE.match(text)
    text = fenced[1] if fenced else text
    opened = _last_open(text)
    if opened is not None:
        before, rest = text[: opened.start()], text[opened.end() :]
        closed = None
        for closed in _REPLY_CLOSE.finditer(rest):  # noqa: B007 - the last one: a reply may speak of tags itself
            pass
        return _checked(rest[: closed.start()] if closed else rest, _rationale_of(before))
    found = _RATIONALE.search(text)
    if found is None:
        return None
    return _checked(LEADING_LABEL.sub("", text[found.end() :]), found[1])


def _last_open(text: str) -> re.Match[str] | None:
    """The reply's opening tag: the first one outside the rationale, which may mention it."""
    found = _RATIONALE.search(text)
    if found and not _REPLY_OPEN.search(text, 0, found.start()):
        return _REPLY_OPEN.search(text, found.end())
    return _REPLY_OPEN.search(text)


def _rationale_of(text: str) -> str:
    found = _RATIONALE.search(text)
    if found:
        return found[1]
    opened = _RATIONALE_OPEN.search(text)
    return text[opened.end() :] if opened else ""


def _checked(reply: str, rationale: str) -> Parsed | None:
    reply, rationale = reply.strip(), rationale.strip()
    # A tag that is left inside would be learnt as a word of his.
    if not reply or _ANY_TAG.search(reply):
        return None
    return Parsed(reply, rationale)
