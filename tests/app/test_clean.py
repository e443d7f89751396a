"""No control sequence reaches a terminal, wherever the stream is cut, and no ordinary text is lost."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molting_agent.clean import UNSAFE, Cleaner, clean, clean_line

# Each sequence with what may be left of it.
SEQUENCES = [
    ("\x1b[31m", ""),
    ("\x1b[38;2;1;2;3m", ""),
    ("\x1b[2J\x1b[H", ""),
    ("\x1b[?1049h", ""),
    ("\x1b[6n", ""),
    ("\x1b[>c", ""),
    ("\x1b[0 q", ""),
    ("\x1b[!p", ""),
    ("\x1b]0;title\x07", ""),
    ("\x1b]0;title\x1b\\", ""),
    ("\x1b]0;title\x9c", ""),
    ("\x1b]52;c;aGVsbG8=\x07", ""),
    ("\x1b]8;;http://evil.example\x1b\\", ""),
    ("\x1b]1337;File=inline=1:AAAA\x07", ""),
    ("\x1b]4;1;rgb:00/00/00\x07", ""),
    ("\x1bP1$r0m\x1b\\", ""),
    ("\x1bPq#0;2;0;0;0\x1b\\", ""),
    ("\x1b_Gf=24,a=T;AAAA\x1b\\", ""),
    ("\x1b^private\x1b\\", ""),
    ("\x1bXstart\x1b\\", ""),
    ("\x1bc", ""),
    ("\x1b7", ""),
    ("\x1b=", ""),
    ("\x1b(0", ""),
    ("\x1b%G", ""),
    ("\x1b#8", ""),
    ("\x1b\x1b[31m", ""),
    ("\x1b]0;a\x1b[31mb", "b"),
    ("\x1b[31\x18m", "m"),
    ("\x1b]0;a\x1ab", "b"),
    ("\x1b[3\x1b[1m", ""),
    ("\x1b[é", "é"),
    ("\x1bé", "é"),
    ("\x1b[1\nm", "\nm"),
    ("\x1b]0;never ended\nnext line", "\nnext line"),
    ("\x9b31m", ""),
    ("\x9d0;title\x07", ""),
    ("\x90q\x9c", ""),
    ("\x9fapc\x9c", ""),
    ("\x84\x8d\x8e", ""),
    ("\x85", "\n"),
    ("\x00\x01\x02\x03\x04\x05\x06\x07\x08", ""),
    ("\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14", ""),
    ("\r", ""),
    ("a\r\nb", "a\nb"),
    ("\x7f", ""),
    ("safe\u202efdp.exe", "safefdp.exe"),
    ("\u202a\u202b\u202c\u202d", ""),
    ("\u2066\u2067\u2068\u2069", ""),
    ("\u200e\u200f\u061c", ""),
    ("\u2028", "\n"),
    ("\u2029", "\n"),
    ("\ufeff", ""),
    ("\ufff9\ufffa\ufffb", ""),
    ("\u2060\u2061", ""),
    ("\U000e0041\U000e0042", ""),
    ("\ud800", ""),
    ("\udcff", ""),
    ("\x1b", ""),
    ("\x1b[", ""),
    ("\x1b]", ""),
    ("\x1bP", ""),
]
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
