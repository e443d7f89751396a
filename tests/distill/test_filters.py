"""What teaches nothing: stock phrases, programs' messages, one-word replies and near-copies; the voice stays."""

from pathlib import Path

import pytest
from talks import CONVERSATIONS, question, reply, talk

from distill.filters import (
    ERROR,
    INTERRUPTED,
    LIMIT,
    REFUSAL,
    SHORT,
    STOCK,
    count_words,
    near_copies,
    why_boilerplate,
)
from distill.targets import targets_of, why_not
from memory.transcripts.read import read_transcript
from memory.transcripts.writer import FORGOTTEN


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Done.", STOCK),
        ("You're welcome!", STOCK),
        ("You’re very welcome 😊", STOCK),
        ("Sure! Let me know if you need anything else.", STOCK),
        ("Great, thanks!", STOCK),
        ("I'm happy to help! Is there anything else I can help you with?", STOCK),
        ("De nada! Posso ajudar em mais alguma coisa?", STOCK),
        ("**Feito.**", STOCK),
        ('API Error: 500 {"type":"error","error":{"type":"api_error","message":"Internal server error"}}', ERROR),
        ("API Error (429 rate_limit_error)", ERROR),
        ("Request timed out.", ERROR),
        ("Invalid API key · Please run /login", ERROR),
        ("Something went wrong. Please try again.", ERROR),
        ("[Request interrupted by user]", INTERRUPTED),
        ("[Request interrupted by user for tool use]", INTERRUPTED),
        ("No response requested.", INTERRUPTED),
        ("Prompt is too long", LIMIT),
        ("Claude AI usage limit reached|1749924000", LIMIT),
        ("You've hit your limit · resets 3pm", LIMIT),
        ("You've reached your weekly usage limit for Opus.", LIMIT),
        ("Credit balance is too low", LIMIT),
        ("I'm sorry, but I can't assist with that request.", REFUSAL),
        ("I can't help with that.", REFUSAL),
        ("As an AI language model, I don't have opinions.", REFUSAL),
        ("Lamento, mas não posso ajudar com isso.", REFUSAL),
        ("Unfair.", SHORT),
        ("🦞", SHORT),
    ],
)
def test_boilerplate_is_named_by_its_reason(text: str, reason: str) -> None:
    assert why_boilerplate(text) == reason


@pytest.mark.parametrize(
    "text",
    [
        "Pois. There's no hurry.",
        "Dorme. Eu fico com a chuva.",
        "Done, and the old key is revoked. The gauges never noticed.",
        "Claro que não. Ninguém lava um gato com o gato acordado.",
        "I can't help the lobster, he is past it. I can help you with the invoice.",
        "I'm sorry about the exam. It will keep until Thursday.",
        "API errors of that kind are the server's fault; wait a minute and send it again.",
        "Sure of it? The tide table says six.",
        "The request timed out because the proxy closes idle connections after 30 s; raise keepalive to 60.",
        "You've reached your limit. Go to bed; the exam keeps.",
        "Welcome to Ghent. Mind the trams.",
        "Let me know how the ferry was; I like the end of a story.",
        "You've reached the limit of what a spreadsheet forgives.",
        "了解しました",
    ],
)
def test_what_somebody_said_stays(text: str) -> None:
    assert why_boilerplate(text) == ""


def test_almost_nothing_of_the_sample_conversations_goes() -> None:
    replies = [
        turn.text
        for path in sorted(Path(CONVERSATIONS).rglob("*.jsonl"))
        for turn in read_transcript(path).turns
        if turn.role == "assistant"
    ]
    assert len(replies) > 40
    assert [text for text in replies if why_boilerplate(text) not in ("", SHORT)] == []
    assert sum(why_boilerplate(text) == SHORT for text in replies) <= 0.01 * len(replies) + 1


def test_words_of_scripts_without_spaces_are_counted() -> None:
    assert (count_words("12 percent"), count_words("了解"), count_words("don't"), count_words("— ! …")) == (2, 2, 1, 0)


def test_a_verdict_is_stronger_than_a_filter_and_a_label_stronger_than_a_verdict() -> None:
    assert why_not(reply("r", "Done."), own=False) == STOCK
    assert why_not(reply("r", "Done.", approved=True), own=True) == ""
    assert why_not(reply("r", "I am very sure.", edited_text="Yes."), own=True) == ""
    assert why_not(reply("r", "Done.", approved=True, label="private"), own=True) == "labelled private"
    assert why_not(reply("r", "It goes on and", stopped=True), own=False) == "stopped in the middle"
    assert why_not(reply("r", FORGOTTEN), own=False) == "forgotten"


def test_the_number_of_words_is_a_setting() -> None:
    conversation = talk("c", question(), reply("r1", "Unfair."), reply("r2", "Two words."))
    assert [len(targets_of(conversation, words)[0]) for words in (1, 2, 3)] == [2, 1, 0]


def words(first: int, count: int) -> str:
    return " ".join(f"w{number}" for number in range(first, first + count))


def test_near_copies_are_found_by_exact_jaccard() -> None:
    """100 shingles of 102 words; cut at the end they share 90 of 100, then 80 of 100."""
    texts = [words(0, 102), words(0, 92), words(0, 82), words(500, 102), words(0, 102).upper() + "!"]
    assert near_copies(texts, 0.9) == {1: 0, 4: 0}
    assert near_copies(texts, 0.91) == {4: 0}
    assert near_copies(texts, 0.8) == {1: 0, 2: 0, 4: 0}
    assert near_copies(texts, 1.0) == {4: 0}


def test_short_and_empty_texts_are_copies_only_when_equal() -> None:
    assert near_copies(["hi", "hi!", "ho", "", "…"], 0.85) == {1: 0}


def test_no_pair_that_stays_is_alike_and_every_copy_is_alike_to_what_stays() -> None:
    texts = [words(start, 60) for start in range(0, 400, 2)]
    copies = near_copies(texts, 0.85)
    kept = [number for number in range(len(texts)) if number not in copies]

    def alike(a: int, b: int) -> float:
        left, right = ({tuple(t.split()[i : i + 3]) for i in range(58)} for t in (texts[a], texts[b]))
        return len(left & right) / len(left | right)

    assert all(alike(copy, original) >= 0.85 for copy, original in copies.items())
    assert max(alike(a, b) for a in kept for b in kept if a < b) < 0.85
