"""Recall: BM25 and vectors fused by weighted scores, folded, thresholded, cut to a budget, and put into words."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from memory.values import RecalledMemory

if TYPE_CHECKING:
    from memory.store import Store
    from memory.vectors import Vectors

LEXICAL_WEIGHT = 0.5
VECTOR_WEIGHT = 0.5
RECENCY_WEIGHT = 0.03
IN_PASSING_FACTOR = 0.7
"""What was said in a conversation counts less than what the person chose to keep in MEMORY.md, notes and documents."""
TIMELESS_FACTOR = 0.87
"""For a question that asks when: a memory that names no time, day or date is less likely the answer."""
THRESHOLD = 0.30
"""Below it nothing is shown. Of 28 small-talk and foreign questions over 250 conversations 22 find nothing so; of 25
real questions about MEMORY.md 23 keep their answer (the other two share no word and no English with it)."""
COSINE_FLOOR, COSINE_CEILING = 0.1, 0.7
"""MiniLM gives unrelated texts about 0.1 and a question with its answer 0.4 to 0.7."""
CANDIDATES = 60
SMALL_STORE = 2000
PRIOR_CHUNKS = 50
HALF_LIFE_DAYS = 90.0
FOLD_OVERLAP = 0.8
CHARS_PER_TOKEN = 3.6
LINE_CHARS = 360
QUESTION_CHARS = 110
MAX_TERMS = 24

# Words that say nothing about the subject, English and Portuguese; names and numbers always count.
_STOP_WORDS = """
a an and are as at be been but by can could did do does for from had has have he her him his how i if in is it its know
me my of on or our please remember she should so tell that the their them there they this to us was we were what when
where which who why will with would you your about
bye fine go good hello help hey hi just more much no ok okay really sorry sounds sure thank thanks today well yes
ao aos as com como da das de do dos e ela elas ele eles em era esta este eu foi isso isto lhe mais me meu minha na nas
no nos não o onde os ou para por qual quais quando que quem se ser seu sim sua são te tu um uma umas uns está é
bem boa bom dia noite obrigada obrigado olá tarde
"""
_STOP = frozenset(_STOP_WORDS.split())
_GREETING = re.compile(r"\bgood (morning|afternoon|evening|night)\b|\bbo[am] (dia|tarde|noite)\b")
_ASKS_WHEN = re.compile(r"^\W*(when|what time|quando|a que horas)\b", re.IGNORECASE)
_NAMES_A_TIME = re.compile(
    r"\b(\d{1,2}[:h]\d{2}|\d{4}-\d{2}-\d{2}|every|(mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march"
    r"|april|may|june|july|august|september|october|november|december|(segunda|terça|quarta|quinta|sexta)-feira|sábado"
    r"|domingo|todos os dias|todas as noites|janeiro|fevereiro|março|abril|maio|junho|julho|agosto|setembro|outubro"
    r"|novembro|dezembro)\b",
    re.IGNORECASE,
)


def recall(
    store: "Store", vectors: "Vectors", query: str, *, k: int, budget_tokens: int, exclude_transcript: str = ""
) -> list[RecalledMemory]:
    """The memories that fit ``query``, best first; see ``Memory.recall``."""
    terms = content_terms(query)
    if k <= 0 or not query.strip():
        return []
    lexical = lexical_scores(store, terms)
    rows = {row["number"]: row for row in store.chunk_rows("number", list(lexical))}
    cosines = vectors.cosines(query, CANDIDATES, {row["text_hash"] for row in rows.values()})
    known = {row["text_hash"] for row in rows.values()}
    for row in store.chunk_rows("text_hash", [key for key in cosines if key not in known]):
        rows[row["number"]] = row
    now = datetime.now(UTC)
    asks_when = bool(_ASKS_WHEN.match(query))
    scored = []
    for number, row in rows.items():
        if exclude_transcript and row["transcript_id"] == exclude_transcript:
            continue
        parts = {"lexical": lexical.get(number, 0.0), "recency": recency(row["timestamp"], now)}
        if row["text_hash"] in cosines:
            parts["vector"] = cosines[row["text_hash"]]
        factor = IN_PASSING_FACTOR if row["kind"] == "exchange" else 1.0
        if asks_when and not _NAMES_A_TIME.search(row["text"]):
            factor *= TIMELESS_FACTOR
        scored.append((fuse(parts) * factor, number, parts))
    scored.sort(key=lambda item: (-item[0], item[1]))
    fitting = [
        store.as_memory(rows[number], round(score, 4), {name: round(value, 4) for name, value in parts.items()})
        for score, number, parts in scored
        if score >= THRESHOLD
    ]
    return within_budget(folded(fitting, k), budget_tokens)


def content_terms(query: str) -> list[str]:
    """The words of a question that say what it is about, without repeats; [] for mere courtesy."""
    words = list(dict.fromkeys(re.findall(r"\w+", _GREETING.sub(" ", query.casefold()))))
    content = [word for word in words if word not in _STOP and (len(word) > 1 or word.isdigit())]
    return content[:MAX_TERMS]


def lexical_scores(store: "Store", terms: Sequence[str]) -> dict[int, float]:
    """BM25 by chunk number, 0..1: the share of what a chunk of average length with every term once would get.

    Taking the share makes scores of different questions comparable, which a threshold needs (BM25 by itself is not).
    SQLite's own weight of a term is nothing when half of the chunks have it, which in a new home is any term: a small
    store is scored term by term with ``rarity`` in its place.
    """
    if not terms:
        return {}
    match = "SELECT rowid, -bm25(chunks_fts) AS score FROM chunks_fts WHERE chunks_fts MATCH ?"
    scores: dict[int, float] = {}
    with store.locked() as connection:
        total = connection.execute("SELECT count(*) FROM chunks").fetchone()[0]
        if total > SMALL_STORE:
            count = "SELECT count(*) FROM chunks_fts WHERE chunks_fts MATCH ?"
            whole = sum(rarity(connection.execute(count, (f'"{term}"',)).fetchone()[0], total) for term in terms)
            any_of = " OR ".join(f'"{term}"' for term in terms)
            rows = connection.execute(f"{match} ORDER BY bm25(chunks_fts) LIMIT ?", (any_of, CANDIDATES))
            scores = {row["rowid"]: row["score"] for row in rows}
        else:
            whole = 0.0
            for term in terms:
                found = connection.execute(match, (f'"{term}"',)).fetchall()
                weight = rarity(len(found), total)
                whole += weight
                sqlite_weight = max(math.log((total - len(found) + 0.5) / (len(found) + 0.5)), 1e-6)
                for row in found:
                    scores[row["rowid"]] = scores.get(row["rowid"], 0.0) + row["score"] * weight / sqlite_weight
    best = sorted(scores.items(), key=lambda item: -item[1])[:CANDIDATES]
    return {number: min(1.0, max(0.0, score) / whole) for number, score in best}


def rarity(count: int, total: int) -> float:
    """What a term is worth that ``count`` of ``total`` chunks have (Lucene's BM25 idf, never negative).

    PRIOR_CHUNKS that have none are added: in a home with one memory its words are no more common than elsewhere.
    """
    return math.log(1.0 + (total + PRIOR_CHUNKS - count + 0.5) / (count + 0.5))


def fuse(parts: dict[str, float]) -> float:
    """One score, 0..1, from the parts; without a vector the words alone decide."""
    if "vector" in parts:
        likeness = (parts["vector"] - COSINE_FLOOR) / (COSINE_CEILING - COSINE_FLOOR)
        score = LEXICAL_WEIGHT * parts["lexical"] + VECTOR_WEIGHT * min(1.0, max(0.0, likeness))
    else:
        score = parts["lexical"]
    return min(1.0, score * (1.0 + RECENCY_WEIGHT * parts["recency"]))


def recency(timestamp: str, now: datetime) -> float:
    """1 for this moment, half of it every HALF_LIFE_DAYS; 0 where no time is known."""
    try:
        moment = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    age_days = max(0.0, (now - moment).total_seconds() / 86_400)
    return float(0.5 ** (age_days / HALF_LIFE_DAYS))


def folded(memories: Sequence[RecalledMemory], k: int) -> list[RecalledMemory]:
    """The first ``k`` that say something new: near-duplicates and further pieces of one message fold into the best."""
    kept: list[tuple[RecalledMemory, set[str]]] = []
    for memory in memories:
        words = set(re.findall(r"\w+", memory.text.casefold()))
        is_new = all(
            len(words & other) < FOLD_OVERLAP * len(words | other)
            and not (memory.message_id and (memory.conversation, memory.message_id) == (m.conversation, m.message_id))
            for m, other in kept
        )
        if is_new:
            kept.append((memory, words))
        if len(kept) == k:
            break
    return [memory for memory, _ in kept]


def within_budget(memories: Sequence[RecalledMemory], budget_tokens: int) -> list[RecalledMemory]:
    """The best memories whose block stays within the budget (an estimate: the tokenizer is a floor above)."""
    kept: list[RecalledMemory] = []
    for memory in memories:
        if len(memory_block([*kept, memory])) / CHARS_PER_TOKEN > budget_tokens:
            break
        kept.append(memory)
    return kept


def memory_block(memories: Sequence[RecalledMemory]) -> str:
    """The text put before the person's words, at run time and in training alike; "" when there is nothing.

    Plain lines and no markup: a 135M model copies what it sees. Each memory is one line, cut at a word; of an exchange
    the question is cut first, because the answer is what was worth keeping.
    """
    if not memories:
        return ""
    return "\n".join(["Notes from memory:", *(f"- {_line(memory)}" for memory in memories)])


def _line(memory: RecalledMemory) -> str:
    day = memory.timestamp[:10] if memory.message_id else ""
    question, has_answer, answer = memory.text.partition("\nMe: ")
    if has_answer:
        question = shorten(" ".join(question.split()), QUESTION_CHARS)
        text = f"{question} Me: {' '.join(answer.split())}"
    else:
        text = " ".join(memory.text.split())
    return (f"{day}: " if day else "") + shorten(text, LINE_CHARS)


def shorten(text: str, limit_chars: int) -> str:
    """``text`` cut at a word to at most ``limit_chars``, with an ellipsis where something is missing."""
    if len(text) <= limit_chars:
        return text
    cut = text[: limit_chars - 1]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > limit_chars // 2 else cut).rstrip(" ,;:") + "…"
