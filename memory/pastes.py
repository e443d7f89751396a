"""Which parts of a person's message were pasted rather than typed, by plain signs (pure).

The signs were read off real logs and lean to leaving typed words typed; what no sign gives away is still caught when it
gives orders outside the first paragraph.
"""

import re
from collections.abc import Iterator

from memory.orders import strong_commands

LONG_CHARS = 240
"""From this length on, or three lines, what follows an introduction ("this:") is taken for a paste."""

_FENCE = re.compile(r"^[ \t]*(?P<mark>`{3,}|~{3,})[^\n]*(?:\n.*?(?:^[ \t]*(?P=mark)[`~]*[ \t]*$|\Z)|\Z)", re.M | re.S)
_QUOTED = re.compile(r"(?:^[ \t]*>(?: [^\n]*)?(?:\n|\Z))+", re.M)
_ELEMENT = re.compile(
    r"<(?P<tag>documents?|files?|file_content|contents?|paste|pasted_text|attachments?|context|sources?|web_?page|page|"
    r"article|e?mail|message|transcript|logs?|output|stdout|stderr|results?|tool_result|search_results?|untrusted)"
    r"(?:\s[^>\n]*)?>.*?(?:</(?P=tag)\s*>|\Z)",
    re.S | re.I,
)
_FORWARDED = re.compile(
    r"^[ \t>]*(?:-{2,}\s*(?:original message|forwarded message|mensagem (?:original|encaminhada|reencaminhada))\s*-{0,}"
    r"|begin forwarded message:?|in[ií]cio da mensagem (?:re)?encaminhada:?|mensagem (?:re)?encaminhada:?"
    r"|on [^\n]{6,120} wrote:|(?:a|em|no dia|às) [^\n]{6,120} escreveu:)[^\n]*$",
    re.M | re.I,
)
_HEADERS = re.compile(
    r"(?:^[ \t]*(?:from|to|cc|subject|date|sent|reply-to|de|para|assunto|data|enviad[ao](?: em)?)[ \t]*:"
    r"[^\n]*(?:\n|\Z)){2,}",
    re.M | re.I,
)
_PLACEHOLDER = re.compile(
    r"\[(?:pasted text|texto colado|pasted content)\b[^\]\n]*\](?:[ \t]*\n(?:[^\n]*\S[^\n]*(?:\n|\Z))+)?", re.I
)
_INTRODUCED = re.compile(r"^[^\n]{0,400}[:：][ \t]*$", re.M)
_INTRODUCED_INLINE = re.compile(
    r"\A[^\n.!?]{0,160}?\b(?:this|these|following|below|here|at|check|fix|says?|said|text|error|message|page|mail|article|"
    r"isto|este|esta|estes|seguinte|abaixo|texto|mensagem|página|artigo|erro|diz)\s*(?::|\.\.)\s*(?=\S)",
    re.I,
)
_ADDRESS_LED = re.compile(r"^[ \t]*https?://\S+[^\n]{0,120}$", re.M)
_LIST_ITEM = re.compile(r"[ \t]*(?:[-*•–+]|\(?\d{1,2}[.)]|\(?[a-z][.)]|\[[ x]\])\s+\S", re.I)
_MACHINE_LINE = re.compile(
    r"""[ \t]*(?:
      [\[(]?\d{4}-\d\d-\d\d[T ]\d\d:\d\d | [\[(]?\d\d:\d\d:\d\d | [A-Z][a-z]{2}[ ]+\d{1,2}[ ]\d\d:\d\d:\d\d
    | \[?(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|FATAL|CRITICAL)\b[\]:\s]
    | (?:\w+\.)*\w*(?:Error|Exception|Warning)\b:
    | (?:error|warning|fatal|remote|panic|hint|note|caused\ by)\s*: | Traceback\b
    | at\s+\S+[.:(] | File\s"[^"]*",\sline\s\d | goroutine\s\d
    | (?:---|===|\+\+\+)\s\S | @@\s | diff\s--git | index\s[0-9a-f]{7}
    | [{\[]"\w+" | \S+\.\w{1,5}:\d+(?::\d+)?[:\s]
    | 0x[0-9a-f]{4} | \#\d+\s+0x | [+-]\s*(?:[\w.]+\(|[{}]) | \d+\s+[+-](?:\s|$)
    | \w[\w-]*\|?\s*\d+%\s | (?:create|delete|rename)\smode\s | [│┌└├|⎿]\s
    )""",
    re.X,
)
_CODE_LINE = re.compile(
    r"[ \t]*(?:[^\n]*[;{}]\s*$|"
    r"(?:def|class|func|function|import|from|return|const|let|var|public|private|package|#include|if|"
    r"for|while|else|elif|try|except|case|type|struct)\b[^\n]*[:({;)]\s*$|</?\w[^>\n]*>\s*$|//|/\*|\*/)"
)
_PARAGRAPH = re.compile(r"\S(?:.*?)(?=\n[ \t]*\n|\Z)", re.S)

Ranges = tuple[tuple[int, int], ...]


def pasted_ranges(text: str) -> Ranges:
    """The character ranges (start, end) of a person's message that were pasted rather than typed, in order."""
    if len(text) < 8:
        return ()
    found = [match.span() for pattern in (_FENCE, _QUOTED, _ELEMENT, _PLACEHOLDER) for match in pattern.finditer(text)]
    for pattern in (_FORWARDED, _HEADERS):
        if match := pattern.search(text):
            found.append((match.start(), len(text)))
    found += _introduced(text)
    found += _machine_written(text)
    found += _giving_orders(text)
    return merged(found, text)


def merged(ranges: list[tuple[int, int]], text: str) -> Ranges:
    """Ranges in order, without overlaps and without white space at their ends; only white space between joins them."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        part = text[first:last]
        start = first + len(part) - len(part.lstrip())
        end = first + len(part.rstrip())
        if start >= end:
            continue
        if result and (start <= result[-1][1] or not text[result[-1][1] : start].strip()):
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return tuple(result)


def _introduced(text: str) -> Iterator[tuple[int, int]]:
    """What follows "this:", or an address on its own line, when it is long and no list that a person would type."""
    if (match := _INTRODUCED_INLINE.match(text)) and "\n" not in text[: match.end()]:
        rest = text[match.end() :]
        if len(rest) >= LONG_CHARS or strong_commands(rest):
            yield match.end(), len(text)
            return
    for match in _INTRODUCED.finditer(text):
        end = _without_last_question(text, match.end())
        block = text[match.end() : end]
        if (_is_long(block) and not _is_typed_list(block)) or strong_commands(block):
            yield match.end(), end
            return
    if (
        (match := _ADDRESS_LED.search(text))
        and _is_long(text[match.end() :])
        and not _is_typed_list(text[match.end() :])
    ):
        yield match.start(), _without_last_question(text, match.end())


def _is_long(block: str) -> bool:
    block = block.strip()
    return len(block) >= LONG_CHARS or block.count("\n") >= 2


def _is_typed_list(block: str) -> bool:
    """Whether most lines are short list items: people type those after a colon."""
    lines = [line for line in block.splitlines() if line.strip()]
    items = [line for line in lines if _LIST_ITEM.match(line)]
    return len(items) * 2 >= len(lines) and all(len(line) < LONG_CHARS for line in lines)


def _without_last_question(text: str, start: int) -> int:
    """Where a pasted block ends: before a last short paragraph that asks something, else at the end."""
    cut = text.rstrip().rfind("\n\n", start)
    last = text[cut:].strip() if cut > start else ""
    is_question = 0 < len(last) < LONG_CHARS and "\n" not in last and last.endswith("?")
    return cut if is_question else len(text)


def _machine_written(text: str) -> Iterator[tuple[int, int]]:
    """Runs of four or more lines that a program wrote: logs, traces, diffs, code."""
    if text.count("\n") < 3:
        return
    start = end = 0
    count = misses = 0
    position = 0
    for line in text.splitlines(keepends=True):
        is_machine = bool(_MACHINE_LINE.match(line) or _CODE_LINE.match(line))
        if is_machine:
            start = start if count else position
            count, misses, end = count + 1, 0, position + len(line)
        elif line.strip() and count:
            misses += 1
            if misses > (3 if count >= 4 else 1):
                if count >= 4:
                    yield start, end
                count = misses = 0
        position += len(line)
    if count >= 4:
        yield start, end


def _giving_orders(text: str) -> Iterator[tuple[int, int]]:
    """Paragraphs after the first that speak to the machine as an injection does: a person would not type that there."""
    if not strong_commands(text):
        return
    for number, match in enumerate(_PARAGRAPH.finditer(text)):
        if number and strong_commands(match.group()):
            yield match.span()
