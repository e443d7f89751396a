"""Cuts documents and conversations into chunks that can be found, shown and cited on their own."""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import cast

from memory.labels import private_spans, strictest
from memory.memory_file import HEADING, Entry, lines_of, parse
from memory.ranges import Range, without
from memory.transcripts.model import Label, Transcript, Trust, Turn
from memory.transcripts.writer import FORGOTTEN

CHUNK_CHARS = 900
"""About 220 tokens: MiniLM reads 256, and a chunk should be one thought. Longer text is cut with an overlap."""
OVERLAP_CHARS = 150
MIN_WORDS = 3
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of text with its provenance; lines count from 1, 0 means none.

    ``text`` is what is shown; ``search_text`` is what is indexed and embedded (with the heading path, without the names
    of the speakers, which would make all conversations alike). ``kind``: entry, section or exchange.
    """

    text: str
    search_text: str
    kind: str
    heading: str = ""
    line_start: int = 0
    line_end: int = 0
    message_id: str = ""
    message_ids: tuple[str, ...] = ()
    timestamp: str = ""
    trust: Trust = "owner"
    label: Label = "normal"

    @property
    def text_hash(self) -> str:
        """sha256 of what is embedded: the key of its vector."""
        return hashlib.sha256(self.search_text.encode()).hexdigest()


def chunk_id(source: str, text: str) -> str:
    """12 hex digits, the same for the same text in the same source, whatever its line."""
    return hashlib.sha256(f"{source}\0{text}".encode()).hexdigest()[:12]


def chunk_document(content: str, path: Path, *, trust: Trust = "owner", label: Label = "normal") -> list[Chunk]:
    """Chunks of a markdown or plain text.

    A bullet is one chunk and cited to its line. Paragraphs under one heading are joined up to CHUNK_CHARS, longer ones
    cut with an overlap. The date of a daily note comes from its name. What stands between private tags is private, and
    so is what stands under a heading between them; the tags are taken out.
    """
    day = re.search(r"\d{4}-\d{2}-\d{2}", path.name)
    timestamp = day[0] if day else ""
    chunks = []
    content, spans = private_spans(content)
    hidden = _hidden_entries(content, spans)
    for kind, entries in _joined(parse(content), hidden):
        strict = strictest(label, "private" if entries[0] in hidden else "normal")
        whole = "\n".join(entry.text for entry in entries)
        heading = entries[0].heading
        lines = entries[0].line_start, entries[-1].line_end
        for text in split_text(whole):
            search_text = f"{heading}\n{text}" if heading else text
            chunks.append(
                Chunk(text, search_text, kind, heading, *lines, timestamp=timestamp, trust=trust, label=strict)
            )
    return chunks


def _hidden_entries(content: str, spans: Sequence[Range]) -> set[Entry]:
    """The entries that a private span touches, and those below a heading that it touches."""
    if not spans:
        return set()
    starts = [0, *accumulate(len(line) + 1 for line in content.split("\n" if "\n" in content else "\r"))]
    lines: set[int] = set()
    for start, end in spans:
        lines.update(range(bisect_right(starts, start), bisect_right(starts, end - 1) + 1))
    rows = lines_of(content)
    names = {match[2] for number in lines if number <= len(rows) and (match := HEADING.match(rows[number - 1]))}
    return {
        entry
        for entry in parse(content)
        if names.intersection(entry.heading.split(" > "))
        or not lines.isdisjoint(range(entry.line_start, entry.line_end + 1))
    }


def _joined(entries: list[Entry], hidden: set[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    """Bullets one by one; neighbouring paragraphs of one heading together while they fit, private ones apart."""
    pending: list[Entry] = []
    for entry in entries:
        room = sum(len(item.text) for item in pending) + len(entry.text) <= CHUNK_CHARS
        other = pending and (entry.heading != pending[0].heading or (entry in hidden) != (pending[0] in hidden))
        if pending and (entry.is_bullet or other or not room):
            yield "section", pending
            pending = []
        if entry.is_bullet:
            yield "entry", [entry]
        else:
            pending.append(entry)
    if pending:
        yield "section", pending


def split_text(text: str, limit_chars: int = CHUNK_CHARS, overlap_chars: int = OVERLAP_CHARS) -> list[str]:
    """``text`` in pieces of at most ``limit_chars``, cut at sentence ends where there are any; pieces overlap."""
    pieces = []
    start = 0
    while len(text) - start > limit_chars:
        window = text[start : start + limit_chars]
        cuts = [match.end() for match in _SENTENCE_END.finditer(window) if match.end() > limit_chars // 2]
        end = cuts[-1] if cuts else window.rfind(" ", limit_chars // 2)
        end = end if end > 0 else limit_chars
        pieces.append(window[:end].strip())
        overlap = window[:end].find(" ", max(0, end - overlap_chars))
        start += max(overlap + 1 if overlap > 0 else end, end - overlap_chars, 1)
    pieces.append(text[start:].strip())
    return [piece for piece in pieces if piece]


def chunk_transcript(transcript: Transcript, label: Label = "normal") -> list[Chunk]:
    """One chunk an exchange: the person's words and the replies to them, cited to the person's message.

    A student never learns from itself unchecked, not even by way of its memory: of our own replies only those the
    person approved or edited are remembered, otherwise the person's statements alone are. What was pasted, and replies
    that repeat or may obey it, are chunks of their own, untrusted, so that they are never taken for anybody's word.
    ``label`` is the least that each chunk gets; the strictest of its turns counts.
    """
    chunks: list[Chunk] = []
    for asked, replies in _exchanges(transcript.turns):
        kept = [turn for turn in replies if not transcript.own or turn.spoken_by is None or _is_vouched(turn)]
        answer = "\n".join(turn.final_text for turn in kept if turn.trust != "untrusted")
        said = " ".join(filter(None, (_typed(turn) for turn in asked)))
        if transcript.own and not kept:
            said = statements(said)
        first = (asked or kept or replies)[0]
        texts = [(*pair, "agent" if answer else "owner") for pair in _exchange_texts(said, answer)]
        if len(f"{said} {answer}".split()) < MIN_WORDS:
            texts = []
        outside = [("My human pasted", piece) for turn in asked for piece in _pasted(turn)]
        outside += [("Me, after text from outside", turn.final_text) for turn in kept if turn.trust == "untrusted"]
        for speaker, whole in outside:
            if len(whole.split()) >= MIN_WORDS:
                texts += [(f"{speaker}: {piece}", piece, "untrusted") for piece in split_text(whole)]
        for text, search_text, trust in texts:
            chunks.append(
                Chunk(
                    text,
                    search_text,
                    "exchange",
                    line_start=first.line,
                    line_end=(replies or asked)[-1].line,
                    message_id=first.id,
                    message_ids=tuple(turn.id for turn in (*asked, *replies)),
                    timestamp=first.timestamp or transcript.started_at,
                    trust=cast("Trust", trust),
                    label=strictest(label, *(turn.label for turn in (*asked, *replies))),
                )
            )
    return chunks


def _typed(turn: Turn) -> str:
    """What the person wrote in a turn: without what they pasted."""
    return without(turn.text, turn.pasted) if turn.pasted and turn.edited_text is None else turn.final_text


def _pasted(turn: Turn) -> list[str]:
    return [turn.text[start:end] for start, end in turn.pasted] if turn.edited_text is None else []


def _exchanges(turns: tuple[Turn, ...]) -> Iterator[tuple[list[Turn], list[Turn]]]:
    """(what the person said, the replies that followed), in order."""
    asked: list[Turn] = []
    replies: list[Turn] = []
    for turn in turns:
        if turn.text == FORGOTTEN:
            continue
        if turn.role == "user":
            if replies:
                yield asked, replies
                asked, replies = [], []
            asked.append(turn)
        elif turn.role == "assistant":
            replies.append(turn)
    if asked or replies:
        yield asked, replies


def _is_vouched(turn: Turn) -> bool:
    return turn.edited_text is not None or turn.approved is True


def _exchange_texts(said: str, answer: str) -> Iterator[tuple[str, str]]:
    """(shown, searched) of each piece; each piece of a long reply begins with the question it answers."""
    said = said.strip()
    if len(said) + len(answer) <= CHUNK_CHARS:
        shown = [f"My human: {said}" if said else "", f"Me: {answer}" if answer else ""]
        yield "\n".join(part for part in shown if part), f"{said}\n{answer}".strip()
        return
    question = said if len(said) <= CHUNK_CHARS // 3 else said[: CHUNK_CHARS // 3].rsplit(" ", 1)[0] + "…"
    if len(said) > CHUNK_CHARS // 3:
        for piece in split_text(said):
            yield f"My human: {piece}", piece
    for piece in split_text(answer, CHUNK_CHARS - len(question)) if answer else []:
        yield f"My human: {question}\nMe: {piece}" if question else f"Me: {piece}", f"{question}\n{piece}".strip()


def statements(text: str) -> str:
    """``text`` without its questions: what a person asked is no memory, what they told is."""
    parts = [part.strip() for part in _SENTENCE_END.split(text)]
    return " ".join(part for part in parts if part and not part.endswith("?"))
