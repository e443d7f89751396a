"""Whether two tokenizers cut text alike, and how many bytes of a text each token spells."""

from collections.abc import Callable, Sequence

from molting_agent.runtime.protocol import Engine, Segment

# Words of several languages, code, digits, runs of spaces, symbols: no two vocabularies of the field cut all this alike
# by chance, and unlike a comparison of whole tables it does not mind padding or unused control tokens.
PROBES = (
    "The quick brown fox jumps over the lazy dog; it doesn't hesitate, 1234567890 times (or 3.14159).",
    "Não há coração que não se lembre: amanhã, às 7h30, à beira-mar. Über größere Straßen, déjà vu, señor.",
    "def f(x):\n    return {'a': [1, 2, 3], \"b\": x ** 2}  # comment\n\n\tif (i != 0) { i++; }",
    "日本語のテキスト、中文字符, русский текст, ελληνικά, עברית, 한국어 🐙🔥",
    "https://example.org/path?query=value&other=%20 user@example.org C:\\temp\\file.txt    ...",
)
Cut = Callable[[str], list[int]]


def engine_cut(engine: Engine) -> Cut:
    """How an engine cuts content, without what it puts at the beginning of a text."""
    return lambda text: engine.tokenize([Segment("."), Segment(text)])[1]


def cut_alike(one: Cut, other: Cut) -> bool:
    """Both give the same tokens for all probes: soft targets of one can teach the other."""
    return all(one(probe) == other(probe) for probe in PROBES)


def spelt(tokens: Sequence[str], text: str) -> list[int] | None:
    """Bytes of ``text`` that each token of a Hugging Face vocabulary stands for; None where they do not spell it.

    Byte-level alphabets (GPT-2's) and SentencePiece's ("▁" for a space, ``<0x0A>`` for a byte) are tried in turn; a
    space that SentencePiece puts before the first word is not counted.
    """
    for alphabet in (_byte_level, _sentencepiece):
        pieces = [alphabet(token) for token in tokens]
        whole = [piece for piece in pieces if piece is not None]
        if len(whole) == len(pieces) and (sizes := sizes_in(whole, text)) is not None:
            return sizes
    return None


def sizes_in(pieces: Sequence[bytes], text: str) -> list[int] | None:
    """Bytes of ``text`` behind each piece; None where the pieces are not the text, a first space apart."""
    sizes, wanted = [len(piece) for piece in pieces], text.encode("utf-8", "replace")
    joined = b"".join(pieces)
    if joined == b" " + wanted and sizes:
        first = next(place for place, size in enumerate(sizes) if size)
        sizes[first] -= 1
        return sizes
    return sizes if joined == wanted else None


def _byte_level(token: str) -> bytes | None:
    try:
        return bytes(_BYTES[character] for character in token)
    except KeyError:
        return None


def _sentencepiece(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace("\u2581", " ").encode("utf-8", "replace")


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's characters for bytes: printable ones stand for themselves, the others for those from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = _byte_alphabet()
