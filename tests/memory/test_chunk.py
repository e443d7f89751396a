"""Chunks: what one piece holds, where it is from, and what of our own replies is never remembered."""

from itertools import pairwise
from pathlib import Path

import pytest

from memory.chunk import CHUNK_CHARS, OVERLAP_CHARS, chunk_document, chunk_id, chunk_transcript, split_text, statements
from memory.transcripts.model import Transcript, Turn
from tests.memory.conftest import MEMORY_MD


def _talk(*turns: Turn, own: bool = False) -> Transcript:
    return Transcript("t", "pi", Path("x"), turns, own=own, started_at="2026-02-14T00:00:00Z")


def _said(text: str, number: int = 1) -> Turn:
    return Turn(f"u{number}", "user", text, number)


def _replied(text: str, number: int = 2, **more: object) -> Turn:
    return Turn(f"a{number}", "assistant", text, number, trust="agent", **more)  # type: ignore[arg-type]


def test_a_bullet_is_a_chunk_with_its_heading_in_what_is_searched() -> None:
    chunks = chunk_document(MEMORY_MD.read_text(), Path("MEMORY.md"))
    backups = next(chunk for chunk in chunks if "03:20" in chunk.text)
    assert (backups.kind, backups.heading, backups.line_start, backups.line_end) == ("entry", "Machines", 10, 10)
    assert backups.search_text == f"Machines\n{backups.text}"


def test_paragraphs_of_one_heading_are_joined_while_they_fit_and_a_note_has_its_day() -> None:
    content = "# Day\n\nFirst.\n\nSecond.\n\n## Other\n\nThird.\n"
    chunks = chunk_document(content, Path("2026-02-08.md"))
    assert [(c.text, c.heading, c.line_start, c.line_end) for c in chunks] == [
        ("First.\nSecond.", "Day", 3, 5),
        ("Third.", "Day > Other", 9, 9),
    ]
    assert {chunk.timestamp for chunk in chunks} == {"2026-02-08"}


@pytest.mark.parametrize("form", ["word{} ", "Sentence number {} has words. ", "{}x", "linha {}\n"])
def test_long_text_is_cut_into_pieces_that_hold_all_of_it(form: str) -> None:
    text = "".join(form.format(number) for number in range(10_000, 10_800)).strip()
    pieces = split_text(text)
    assert len(pieces) > 4
    assert all(0 < len(piece) <= CHUNK_CHARS for piece in pieces)
    end = 0
    for piece in pieces:
        start = text.find(piece)
        assert start >= 0
        assert not text[end:start].strip(), "nothing lies between two pieces"
        end = start + len(piece)
    assert end == len(text)


def test_pieces_of_a_long_section_overlap_and_each_is_searched_with_its_heading_path() -> None:
    sentences = [f"Sentence number {number} tells of the boat and its {number * 7} nails." for number in range(60)]
    chunks = chunk_document("# Boats\n\n## Baleia\n\n" + " ".join(sentences), Path("boats.md"))
    assert len(chunks) > 3
    assert all(chunk.search_text.startswith("Boats > Baleia\n") for chunk in chunks)
    assert all(len(chunk.text) <= CHUNK_CHARS for chunk in chunks)
    for first, second in pairwise(chunks):
        overlap = next(size for size in range(CHUNK_CHARS, 0, -1) if first.text.endswith(second.text[:size]))
        assert 40 < overlap <= OVERLAP_CHARS  # a sentence that was cut off from its neighbour stands beside it once


def test_the_id_is_the_same_for_the_same_words_of_one_source_wherever_they_stand() -> None:
    assert chunk_id("MEMORY.md", "a") == chunk_id("MEMORY.md", "a")
    assert len({chunk_id("MEMORY.md", "a"), chunk_id("MEMORY.md", "b"), chunk_id("other.md", "a")}) == 3


def test_an_exchange_is_a_chunk_cited_to_the_persons_message() -> None:
    (chunk,) = chunk_transcript(_talk(_said("how is the disk"), _replied("At 80 percent.")))
    assert chunk.text == "My human: how is the disk\nMe: At 80 percent."
    assert chunk.search_text == "how is the disk\nAt 80 percent."
    assert (chunk.message_id, chunk.message_ids, chunk.trust) == ("u1", ("u1", "a2"), "agent")


def test_a_long_reply_is_cut_and_each_piece_begins_with_the_question() -> None:
    chunks = chunk_transcript(_talk(_said("tell me all"), _replied("One more sentence here. " * 100)))
    assert len(chunks) > 2
    assert all(chunk.text.startswith("My human: tell me all\nMe: ") for chunk in chunks)
    assert len({chunk.message_id for chunk in chunks}) == 1


def test_of_own_replies_only_what_the_person_approved_or_edited_is_remembered() -> None:
    turns = (
        _said("the key hangs by the door", 1),
        _replied("I made this up about keys.", 2, spoken_by=1),
        _said("which colour is the boat in the harbour", 3),
        _replied("The boat is green, they say.", 4, spoken_by=1, approved=True),
        _said("and how old is that boat", 5),
        _replied("wrong age", 6, spoken_by=1, edited_text="It is thirty years old."),
        _said("disliked answer follows right here", 7),
        _replied("A disliked answer.", 8, spoken_by=1, approved=False),
    )
    texts = [chunk.text for chunk in chunk_transcript(_talk(*turns, own=True))]
    assert texts == [
        "My human: the key hangs by the door",
        "My human: which colour is the boat in the harbour\nMe: The boat is green, they say.",
        "My human: and how old is that boat\nMe: It is thirty years old.",
        "My human: disliked answer follows right here",
    ]


def test_of_an_unanswered_question_nothing_is_kept() -> None:
    turns = (_said("Where is my bicycle? It was stolen in Braga. Can you help?"), _replied("Of course!", spoken_by=0))
    assert [c.text for c in chunk_transcript(_talk(*turns, own=True))] == ["My human: It was stolen in Braga."]
    assert statements("Where? Why?") == ""
    assert chunk_transcript(_talk(_said("ok"))) == []
