"""What teaches nothing although it was said: stock phrases, errors shown as replies, one-word replies, near-copies."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

MIN_REPLY_WORDS = 2
SHINGLE_WORDS = 3
PERMUTATIONS = 256
# The chance that a pair at the threshold is never compared. What the index offers is compared exactly afterwards, so
# that offering too much costs a moment and offering too little a missed copy.
MOST_MISSED = 1e-4

ERROR, LIMIT, INTERRUPTED = "error message", "limit reached", "interrupted"
STOCK, REFUSAL, SHORT = "stock phrase", "stock refusal", "fewer words than min_reply_words"
NOT_SAID = frozenset({ERROR, LIMIT, INTERRUPTED})
"""Reasons of texts that a program wrote in the agent's place: not even fit to be the worse reply of a pair."""

# A program's message fills the reply; a reply that begins alike and goes on for pages is about the error.
LONGEST_MESSAGE_CHARS = 600
LONGEST_REFUSAL_CHARS = 400
LONGEST_STOCK_CHARS = 200

WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
# Scripts without spaces between words: there every character counts as one.
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]")
SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")

_PROGRAMS: dict[str, str] = {
    INTERRUPTED: r"""
        \[request\ (?:was\ )?(?:interrupted|aborted|cancelled|canceled)
      | \[(?:response|message|tool\ use)\ (?:was\ )?(?:interrupted|stopped|aborted)
      | \(?no\ content\)?$ | no\ response\ requested\.?$
    """,
    LIMIT: r"""
        prompt\ is\ too\ long\b | conversation\ (?:is\ )?too\ long\b | context\ (?:length|window)\ exceeded\b
      | (?:claude(?:\ ai|\ code)?\ )?(?:usage|session|weekly|message|rate)\ limit\ (?:reached|exceeded|hit)\b
      | you(?:'ve|\ have)?\ (?:hit|reached|exceeded)\ (?:your|the)\ (?:(?:current|usage|session|weekly|daily|monthly
        |hourly|message|rate|free|plan|maximum|api|opus|sonnet|gpt\S*|tier)\ ){1,4}(?:limit|quota)\b
      | you(?:'ve|\ have)?\ (?:hit|reached)\ your\ limit\s*(?:[·∙|]|for\ |,?\ resets|$)
      | \d+-hour\ limit\ reached\b | credit\ balance\ is\ too\ low\b | too\ many\ requests\b | quota\ exceeded\b
      | (?:this|your)\ (?:conversation|chat)\ (?:has\ )?(?:reached|exceeded)\ (?:its|the)\ [\w\ ]{0,20}limit\b
    """,
    ERROR: r"""
        api\ error\b\s*[:(\d] | (?:http\ )?error:?\ [45]\d\d\b | \{"type":\s*"error" | \{"error":
      | (?:connection|network|internal\ server|authentication|overloaded|timeout)[ _]error\b
      | (?:the\ )?request\ timed\ out(?:[.!]?$|[.!]\ (?:please|try|check)\b)
      | invalid\ api\ key\b | oauth\ token\ (?:has\ expired|revoked)\b
      | please\ run\ /login\b | (?:hmm[.…]*\s*)?something\ went\ wrong\b
      | (?:there\ was\ |sorry,\ there\ was\ )?an\ (?:unexpected\ )?error\ (?:generating|occurred|while)\b
      | (?:unable\ to|failed\ to|could\ not)\ (?:connect\ to|reach)\ (?:the\ )?(?:api|anthropic|openai|server)\b
    """,
}
PROGRAMS = {reason: re.compile(pattern, re.VERBOSE) for reason, pattern in _PROGRAMS.items()}

# Whole sentences that any assistant says; a reply is stock only if it holds nothing else.
STOCK_SENTENCE = re.compile(
    r"""(?:
        (?:all\ )?(?:done|set|finished|ready) | ok(?:ay)? | sure(?:\ thing)? | of\ course | certainly | absolutely
      | understood | got\ it | noted | will\ do | sounds\ good | great | perfect | no\ problem | my\ pleasure | you\ bet
      | thanks? | thank\ you(?:\ (?:so|very)\ much)?
      | (?:you(?:'re|\ are)\ )?(?:very\ |most\ )?welcome | anytime | any\ time | no\ worries
      | (?:(?:the|your)\ )?(?:task|changes?|request)\ (?:is|are|has\ been|have\ been)\ (?:complete|completed|done|made)
      | task\ completed?(?:\ successfully)?
      | (?:i'?m\ )?(?:glad|happy)\ (?:to\ help|to\ be\ of\ help|i\ could\ help)
      | (?:is\ there\ )?anything\ else(?:\ (?:i\ can|you)\ [\w\ ]{0,40})?
      | (?:please\ )?(?:feel\ free\ to\ ask|(?:just\ )?let\ me\ know)(?:,?\ (?:if|when|what)\ you[\w',\ ]{0,70})?
      | how\ (?:can|may)\ i\ (?:help|assist)(?:\ you)?(?:\ today)?
      | what\ can\ i\ (?:do\ for|help)\ you(?:\ with)?(?:\ today)?
      | (?:está\ )?feito | de\ nada | não\ tem\ de\ quê | disponha | às\ ordens | claro(?:\ que\ sim)? | com\ certeza
      | entendido | percebido | combinado | obrigad[oa] | está\ bem | pronto | certo | sem\ problema
      | (?:posso|em\ que\ posso)\ ajudar(?:\ (?:em\ )?mais\ alguma\ coisa)? | (?:mais\ )?alguma\ coisa
      | (?:se\ precisar(?:es)?\ de\ )[\w\ ]{0,40},?\ (?:é\ só|basta)\ [\w\ ]{0,20}
    )""",
    re.VERBOSE,
)
REFUSAL_SENTENCE = re.compile(
    r"""
      (?: (?:i(?:'m|\ am)\ )?(?:(?:very|really|so|truly)\ )?(?:sorry|afraid),?\ (?:but\ )?
        | unfortunately,?\ | i\ apologi[sz]e,?\ (?:but\ )? )?
      i\ ?(?:'m|am)?\ ?(?:can't|cannot|can\ not|won't|will\ not|unable\ to|not\ able\ to|won't\ be\ able\ to)\ ?
      (?:to\ )?(?:assist|help|comply|engage|continue|proceed|discuss|fulfil+|provide|create|generate|respond)
      (?:\ you)?(?:\ (?:with|to|in|on))?(?:\ (?:that|this|your|such|it))?(?:\ [\w-]+){0,3}[.!]?
    | i\ (?:can't|cannot)\ (?:assist|help|comply)\ with\ (?:that|this)\b.*
    | (?:i(?:'m|\ am)\ sorry,?\ (?:but\ )?)?as\ an\ ai(?:\ language)?\ (?:model|assistant|developed\ by)\b.*
    | (?:lamento|desculp[ea]|sinto\ muito),?\ (?:mas\ )?não\ (?:posso|consigo)\ (?:ajud|respond|continu|fazer\ isso).*
    | não\ (?:posso|consigo)\ ajudar(?:\ com)?\ (?:isso|esse\ pedido|essa\ questão)[.!]?
    | como\ (?:um\ )?(?:modelo\ de\ linguagem|assistente\ de\ ia)\b.*
    """,
    re.VERBOSE,
)


def why_boilerplate(text: str, min_reply_words: int = MIN_REPLY_WORDS) -> str:
    """Why a reply says nothing of who spoke it, as a reason that can be counted; "" when it may be learnt."""
    plain = " ".join(text.replace("’", "'").casefold().split())
    if len(plain) <= LONGEST_MESSAGE_CHARS:
        for reason, pattern in PROGRAMS.items():
            if pattern.match(plain):
                return reason
    if len(plain) <= LONGEST_REFUSAL_CHARS and REFUSAL_SENTENCE.fullmatch(SENTENCE_END.split(plain)[0]):
        return REFUSAL
    if len(plain) <= LONGEST_STOCK_CHARS:
        sentences = [kept for part in SENTENCE_END.split(plain) if (kept := _bare(part))]
        if sentences and all(_is_stock(sentence) for sentence in sentences):
            return STOCK
    return SHORT if count_words(text) < min_reply_words else ""


def _bare(sentence: str) -> str:
    """Without what stands around the words: marks, emoji, stars."""
    return re.sub(r"^[\W_]+|[\W_]+$", "", sentence)


def _is_stock(sentence: str) -> bool:
    """The whole of a sentence, or every piece of it between commas."""
    pieces = [kept for part in re.split(r"[,;–—]", sentence) if (kept := _bare(part))]
    return bool(STOCK_SENTENCE.fullmatch(sentence)) or all(STOCK_SENTENCE.fullmatch(piece) for piece in pieces)


def count_words(text: str) -> int:
    """Words of a text; in scripts without spaces each character is one."""
    return len(WORD.findall(UNSPACED.sub(" ", text))) + len(UNSPACED.findall(text))


def same_words(text: str) -> str:
    """What two replies have in common when they say the same: case, marks and spaces do not count."""
    return " ".join(WORD.findall(text.casefold())) or text.strip()


def near_copies(texts: Sequence[str], jaccard: float) -> dict[int, int]:
    """Which texts repeat an earlier one, as {index: index of the one that stays}; put what is to stay first.

    Two texts are near-copies when the sets of their three-word shingles have a Jaccard similarity of at least
    ``jaccard``. MinHash with banding (Broder 1997; Leskovec et al., Mining of Massive Datasets, chapter 3) offers
    candidates, an exact comparison decides. A text without words is nobody's copy.
    """
    import numpy as np
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=PERMUTATIONS, params=_bands(jaccard))
    empty = MinHash(num_perm=PERMUTATIONS, hashfunc=lambda value: value)
    kept: dict[int, Any] = {}
    copies: dict[int, int] = {}
    for number, text in enumerate(texts):
        shingles = np.array(sorted(_shingles(text)), dtype=np.uint64)
        if not len(shingles):
            continue
        sketch = empty.copy()
        sketch.update_batch([int(value) & 0xFFFFFFFF for value in shingles])
        for other in sorted(index.query(sketch)):
            common = len(np.intersect1d(shingles, kept[other], assume_unique=True))
            if common >= jaccard * (len(shingles) + len(kept[other]) - common):
                copies[number] = other
                break
        else:
            index.insert(number, sketch)
            kept[number] = shingles
    return copies


def _bands(jaccard: float) -> tuple[int, int]:
    """(bands, rows of each): the most selective whose chance 1 - (1 - s^rows)^bands to offer a pair is high enough."""
    for rows in range(PERMUTATIONS // 2, 1, -1):
        bands = PERMUTATIONS // rows
        if (1 - jaccard**rows) ** bands <= MOST_MISSED:
            return bands, rows
    return PERMUTATIONS, 1


def _shingles(text: str) -> Iterable[int]:
    """64-bit hashes of all runs of three words; of a shorter text the one run there is."""
    words = WORD.findall(UNSPACED.sub(lambda match: f" {match[0]} ", text.casefold()))
    runs = range(max(1, len(words) - SHINGLE_WORDS + 1)) if words else ()
    joined = (" ".join(words[at : at + SHINGLE_WORDS]) for at in runs)
    return {
        int.from_bytes(hashlib.blake2b(run.encode("utf-8", "replace"), digest_size=8).digest(), "big") for run in joined
    }
