"""Hostile text neither raises nor holds the scrubber up, and what is good in it stays."""

import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.scrub import Scrubber
from memory.scrub.spans import PLACEHOLDER, Span, joined

FRAGMENTS = [
    "password", "senha: ", "token=", "key: ", " is ", " é ", "://", "@", ":", "=", '"', "`", "\n", " ", "[EMAIL_1]",
    "ghp_", "sk-", "AKIA", "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", "eyJhbGciOiJIUzI1NiJ9.",
    "a1B2c3D4e5F6g7H8", "912 345 678", "+351", "PT50", "4111111111111111", "NIF 501964843", "ana@x.pt", "\x00",
    "\ud800", "[",
    "İ", "\u202e", "é", "ß", "👍", "\r\n", "\\n", "/", ".", "-", "_", "Bearer ", "login ana / ", "0" * 30, "f" * 40,
]  # fmt: skip
HOSTILE = st.lists(st.sampled_from(FRAGMENTS) | st.text(st.characters(codec=None), max_size=8), max_size=30).map(
    "".join
)


@settings(max_examples=400, deadline=None)
@given(HOSTILE)
def test_any_text_is_scrubbed_once_and_for_all(text: str) -> None:
    result = Scrubber().scrub(text)
    again = Scrubber().scrub(result.text)
    assert again.text == result.text
    assert again.found == {}
    assert Scrubber().scrub(text) == result
    assert sum(result.found.values()) >= len(PLACEHOLDER.findall(result.text)) - len(PLACEHOLDER.findall(text))


UNITS = [
    "a", " ", "@", "a@b.", "1", "1-", "pass ", "password=", "password is ", "://a:", "PT50 ", "+351", "(", "sk-",
    "\x00", "\ud800", "İ", "-----BEGIN PRIVATE KEY-----\n", "eyJhbGciOiJIUzI1NiI.", '"', "[EMAIL_1]", "-_",
    "\\n", "seed ab ",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS, ids=ascii)
def test_long_repetitions_end(unit: str) -> None:
    text = unit * (60_000 // len(unit))
    assert Scrubber().scrub(text + " end").text.endswith(" end")


def test_a_secret_in_a_very_long_line_is_found() -> None:
    draw = random.Random(3)
    token = "ghp_" + "".join(draw.choices("abcdefgh0123456789ABCDEFGH", k=36))
    noise = "".join(draw.choices("lorem ipsum dolor sit amet", k=1_000_000))
    for text in (f"{noise} {token} {noise}", f"{'x' * 1_000_000}\n{token}", f'{{"a":"{noise}","t":"{token}"}}'):
        result = Scrubber().scrub(text)
        assert token not in result.text
        assert len(result.text) > len(text) - 100


def test_many_different_addresses_in_one_conversation() -> None:
    scrubber = Scrubber()
    result = scrubber.scrub(" ".join(f"a{i}@empresa.pt" for i in range(20_000)))
    assert result.found == {"EMAIL": 20_000}
    assert scrubber.scrub("a19999@empresa.pt").text == "[EMAIL_20000]"


def test_surrogates_and_nuls_stay_where_they_are() -> None:
    assert Scrubber().scrub("a\x00b \ud83d ana@empresa.pt \udc00").text == "a\x00b \ud83d [EMAIL_1] \udc00"


def test_overlapping_spans_become_one_of_the_surest_kind() -> None:
    spans = [Span(0, 10, "PASSWORD", 2), Span(5, 12, "JWT", 0), Span(20, 25, "EMAIL", 1)]
    assert joined(spans, []) == [Span(0, 12, "JWT", 0), Span(20, 25, "EMAIL", 1)]
    assert joined(spans, [(22, 23)]) == [Span(0, 12, "JWT", 0)]


def test_importing_loads_neither_the_detector_nor_the_telephone_plans() -> None:
    code = "import sys, memory.scrub; print([m for m in ('betterleaks', 'phonenumbers', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
