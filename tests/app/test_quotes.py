"""A quoted note that nobody showed is marked; one that was shown is not, with the slips of a small model."""

import pytest

from molting_agent.quotes import made_up
from molting_agent.reply import Reply

NOTES = ["Backups: every night at 03:20 to an external disk called Baleia.", "Cat: Polvo, grey, sleeps on the router"]


@pytest.mark.parametrize(
    "reply",
    [
        "My note: Backups: every night at 03:20 to an external disk called Baleia.",
        "My note: Polvo, grey, sleeps on the router",
        "A minha nota: Cat: polvo, grey, sleeps on the router.",
        "My notes say a lot of things in general, but this is no quote",
        "I don't know; the notes don't say.",
        "At 03:20. My note: never seen",
        "",
    ],
)
def test_what_was_shown_or_is_no_quote_stays_unmarked(reply: str) -> None:
    assert made_up(reply, NOTES) == ""


@pytest.mark.parametrize("notes", [NOTES, []])
def test_what_no_note_says_is_named(notes: list[str]) -> None:
    assert made_up("My note: My shoe size is 16.", notes) == "My note: My shoe size is 16."
    assert made_up("A minha nota: a minha nota: " + "nada " * 60, notes).endswith("…")


def test_two_notes_together_are_none() -> None:
    assert made_up("My note: Backups: every night at 03:20, Polvo grey sleeps on the router by day", NOTES)


def test_a_reply_marks_the_quote_that_nobody_showed() -> None:
    reply = Reply("m", 1, (), 0.0, known=("Cat: Polvo, grey, sleeps on the router",))
    reply.text = "My note: Polvo, grey, sleeps on the router"
    assert reply.claims() == []
    reply.text = "My note: The dog is called Pollo."
    assert [(found.claim, found.why) for found in reply.claims()] == [
        ("My note: The dog is called Pollo.", "No note that he was shown says so.")
    ]
