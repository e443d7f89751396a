"""No control sequence reaches a terminal, wherever the stream is cut, and no ordinary text is lost."""

import unicodedata

import pytest
from escape_sequences import SEQUENCES
from hypothesis import given
from hypothesis import strategies as st

from molting_agent.clean import UNSAFE, Cleaner, clean, clean_line

HARMLESS = "Olá, 世界! \t line\n\n```py\nx = [1; 2]\n``` 🦞 family 👨‍👩‍👧 e\u0301 ~^_\\]"


def is_safe(text: str) -> bool:
    """Nothing a terminal obeys: no category Cc but newline and tab, no bidi control, no surrogate."""
    return all(
        character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs", "Co", "Zl", "Zp")
        for character in text
    ) and not UNSAFE.search(text)


@pytest.mark.parametrize(("sequence", "left"), SEQUENCES)
def test_sequence_is_taken_out_wherever_it_is_cut(sequence: str, left: str) -> None:
    text = f"before{sequence}"
    assert clean(text) == f"before{left}"
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            cleaner = Cleaner()
            parts = [cleaner.feed(part) for part in (text[:first], text[first:second], text[second:])]
            assert "".join(parts) == f"before{left}"


def test_there_are_enough_sequences() -> None:
    assert len(SEQUENCES) >= 60


def test_ordinary_text_is_untouched() -> None:
    assert clean(HARMLESS) == HARMLESS


def test_text_after_a_finished_sequence_is_kept() -> None:
    for sequence, left in SEQUENCES[:29]:
        assert clean(f"{sequence}after") == f"{left}after"


def test_an_endless_string_does_not_swallow_the_rest() -> None:
    assert clean("\x1b]0;" + "x" * 10_000).count("x") > 5_000


@given(st.lists(st.text(alphabet=st.sampled_from("\x1b[]P\\m;0\x07\x9b\x9c\x18\n\u202e aé🦞"))))
def test_any_stream_is_safe_and_chunking_does_not_matter(chunks: list[str]) -> None:
    cleaner = Cleaner()
    streamed = "".join(cleaner.feed(chunk) for chunk in chunks)
    assert is_safe(streamed)
    assert streamed == clean("".join(chunks))


@given(st.text())
def test_any_text_is_safe(text: str) -> None:
    shown = clean(text)
    assert not UNSAFE.search(shown)
    assert clean(shown) == shown


def test_one_line() -> None:
    assert clean_line(" a\n\tb\x1b[31m  c\r\n") == "a b c"
