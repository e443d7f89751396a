"""Claims of an act without its receipt: "I wrote the file" when no tool wrote one; English and Portuguese (pure)."""

import re
from collections.abc import Sequence

from molting_agent.tools.results import ToolUse

_NOW = r"(?:\s+(?:just|now|also|already))?\s+"
_I = rf"\b(?:I|I've|I have|we've|I did){_NOW}"
_NEAR = r"[^.!?\n]{0,80}"
_DONE = r"(?:^|(?<=[.!?\n]))\s*(?:Done[,:.!]|Okay[,.!]|OK[,.!]|Pronto[,:.!]|Feito[,:.!])?\s*"
_FILE = r"(?:file|files|folder|note|document|config|script|directory|log|\w+\.[a-z]{1,5}|`[^`]+`)"
_FICHEIRO = r"(?:ficheiro|ficheiros|arquivo|pasta|nota|documento|script|\w+\.[a-z]{1,5}|`[^`]+`)"
_KINDS: dict[str, tuple[tuple[str, ...], str, list[str]]] = {
    "write": (
        ("write_file", "run_command", "remember"),
        "wrote a file",
        [
            rf"{_I}(?:wrote|written|saved|created|updated|edited|changed|added|appended|stored|put)\b{_NEAR}\b{_FILE}",
            rf"\b(?:escrevi|guardei|gravei|criei|atualizei|editei|alterei|adicionei)\b{_NEAR}\b{_FICHEIRO}",
        ],
    ),
    "delete": (
        ("run_command", "forget"),
        "deleted something",
        [
            rf"{_I}(?:deleted|removed|erased|moved|renamed)\b{_NEAR}\b(?:{_FILE}|memory|memories|it|them)\b",
            rf"\b(?:apaguei|eliminei|removi|movi)\b{_NEAR}\b(?:{_FICHEIRO}|memória|isso)\b",
        ],
    ),
    "run": (
        ("run_command",),
        "ran a command",
        [
            rf"{_I}(?:ran|run|executed|installed|restarted|deployed|compiled)\b{_NEAR}"
            r"\b(?:command|script|tests?|`[^`]+`|it|the|package|service)\b",
            r"\b(?:executei|corri o|corri a|corri os|instalei|reiniciei)\b[^.!?\n]{0,80}",
        ],
    ),
    "send": (
        (),
        "sent something",
        [
            rf"{_I}(?:sent|emailed|mailed|messaged|posted|forwarded)\b{_NEAR}\b(?:to|mail|email|message|it|him|her|them|you)\b",
            r"\b(?:enviei|mandei|reencaminhei)\b",
        ],
    ),
    "read": (
        ("read_file", "search_files", "list_folder", "run_command"),
        "read a file",
        [
            rf"{_I}(?:read|opened|checked|searched|looked (?:at|in|into|through))\b{_NEAR}"
            r"\b(?:the|your|that)\s+(?:\w+\s+)?(?:file|files|folder|\w+\.[a-z]{1,5})\b",
            r"\b(?:abri|pesquisei)\b[^.!?\n]{0,80}\b(?:ficheiros?|arquivos?|pasta)\b",
        ],
    ),
    "remember": (
        ("remember", "write_file"),
        "kept a memory",
        [
            rf"{_I}(?:remembered (?:it|that)|noted|made a note|memori[sz]ed)\b",
            rf"{_I}(?:(?:saved|stored) (?:it|that|this)|written (?:it|that|this) down)\b",
            rf"{_DONE}(?:Noted|Remembered|Saved)[.!,]",
            r"\b(?:anotei|tomei nota|memorizei|registei)\b|(?:^|(?<=[.!?\n]))\s*Anotado[.!,]",
        ],
    ),
    "forget": (
        ("forget",),
        "forgot a memory",
        [
            rf"{_I}(?:forgotten|forgot|erased)\s+(?:it|that|this|what|your|everything|the)\b(?! to\b)",
            r"\b(?:esqueci (?:isso|o que)|apaguei isso)\b",
        ],
    ),
}
_PATTERNS = {
    kind: (tools, what, [re.compile(pattern, re.IGNORECASE) for pattern in patterns])
    for kind, (tools, what, patterns) in _KINDS.items()
}
_NOT_SAID = re.compile(
    r"\b(?:if|when|before|wish|could|should|would|had|haven't|didn't|not|never|se|quando|não|nunca)\b", re.IGNORECASE
)
_QUOTE = re.compile(r"```.*?```|^\s*>.*$|\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»", re.DOTALL | re.MULTILINE)


def unbacked(reply: str, uses: Sequence[ToolUse], receipts: Sequence[str] = ()) -> list[str]:
    """What the reply says he did and no tool of this turn did: the sentences, each cut to 120 characters.

    ``receipts`` names kinds of acts that the program itself did this turn (``remember``). Quotes and code are left out,
    and so is what stands behind an if, a not or a would.
    """
    done = {use.name for use in uses if use.state == "done"}
    text = _QUOTE.sub(lambda match: match[0] if match[0].startswith("`") and match[0].count("`") == 2 else " ", reply)
    found: list[tuple[int, str]] = []
    for kind, (tools, _what, patterns) in _PATTERNS.items():
        if kind in receipts or done.intersection(tools):
            continue
        for pattern in patterns:
            for match in pattern.finditer(text):
                sentence = _sentence(text, match.end() - len(match[0].lstrip()), match.end())
                before = sentence[: max(0, sentence.find(match[0].strip()))]
                if not _NOT_SAID.search(before):
                    found.append((match.start(), sentence))
    return list(dict.fromkeys(sentence for _, sentence in sorted(found)))


def _sentence(text: str, start: int, end: int) -> str:
    first = max((text.rfind(mark, 0, start + 1) + 1 for mark in (". ", "! ", "? ", "\n")), default=0)
    ends = [position for mark in (". ", "! ", "? ", "\n") if (position := text.find(mark, end - 1)) >= 0]
    line = " ".join(text[first : min(ends, default=len(text)) + 1].split())
    return line if len(line) <= 120 else f"{line[:119]}…"
