"""Personal data is told by its check digits, and telephone numbers by their country's plan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.scrub import Scrubber
from memory.scrub.personal import is_cnpj, is_cpf, is_iban, is_luhn, is_nif, is_niss

# Published examples of the issuers and of the standards, none of a person.
VALID = [
    (is_nif, "501964843"),
    (is_nif, "123456789"),
    (is_cpf, "52998224725"),
    (is_cnpj, "11222333000181"),
    (is_cnpj, "12ABC34501DE35"),
    (is_iban, "PT50 0002 0123 1234 5678 9015 4"),
    (is_iban, "GB29NWBK60161331926819"),
    (is_iban, "DE89 3704 0044 0532 0130 00"),
    (is_luhn, "4111111111111111"),
    (is_luhn, "378282246310005"),
]


@pytest.mark.parametrize(("check", "number"), VALID)
def test_examples_of_the_issuers_are_valid(check: object, number: str) -> None:
    assert check(number)


@pytest.mark.parametrize(("check", "number"), VALID)
def test_a_changed_last_digit_is_not(check: object, number: str) -> None:
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert not check(wrong)


@pytest.mark.parametrize("check", [is_nif, is_niss, is_cpf, is_cnpj, is_iban])
@pytest.mark.parametrize("number", ["", "0", "٣" * 11, "1" * 40, "00000000000", "PT"])
def test_other_strings_are_neither_valid_nor_an_error(check: object, number: str) -> None:
    assert not check(number)


@given(st.integers(1_000_000_000, 2_999_999_999))
def test_exactly_one_last_digit_makes_a_niss(start: int) -> None:
    assert sum(is_niss(f"{start}{digit}") for digit in range(10)) == 1


FOUND = [
    ("o meu NIF é 501 964 843", "o meu NIF é [NIF_1]"),
    ("contribuinte PT501964843", "contribuinte [NIF_1]"),
    ("CPF 529.982.247-25", "CPF [CPF_1]"),
    ("o cpf dela: 52998224725", "o cpf dela: [CPF_1]"),
    ("CNPJ 11.222.333/0001-81, São Paulo", "CNPJ [CNPJ_1], São Paulo"),
    ("CNPJ 12.ABC.345/01DE-35", "CNPJ [CNPJ_1]"),
    ("IBAN PT50 0002 0123 1234 5678 9015 4 obrigado", "IBAN [IBAN_1] obrigado"),
    ("paid with 4111 1111 1111 1111.", "paid with [CARD_1]."),
    ("liga-me para o 912 345 678", "liga-me para o [PHONE_1]"),
    ("o meu telefone é 912345678", "o meu telefone é [PHONE_1]"),
    ("+351 21 234 56 78", "[PHONE_1]"),
    ("00351 912 345 678", "[PHONE_1]"),
    ("me chama no (11) 91234-5678", "me chama no [PHONE_1]"),
    ("+55 11 91234-5678", "[PHONE_1]"),
    ("call (415) 555-0132 or 415-555-0133", "call [PHONE_1] or [PHONE_2]"),
    ("+44 20 7946 0958", "[PHONE_1]"),
    ("João <joao.s+x@sub.empresa.co.uk>, mailto:ana@x.pt.", "João <[EMAIL_1]>, mailto:[EMAIL_2]."),
]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_found_in_a_talk(text: str, expected: str) -> None:
    assert Scrubber().scrub(text).text == expected


def test_a_niss_needs_its_name_and_its_check_digit() -> None:
    niss = next(f"1234567890{d}" for d in range(10) if is_niss(f"1234567890{d}"))
    wrong = next(f"1234567890{d}" for d in range(10) if not is_niss(f"1234567890{d}"))
    assert Scrubber().scrub(f"NISS {niss}").found == {"NISS": 1}
    assert Scrubber().scrub(f"NISS {wrong}").found == {}
    assert Scrubber().scrub(f"wrote {niss} rows").found == {}


LEFT = [
    "NIF 123456780",  # the check digit is 9
    "wrote 501964843 bytes",
    "card 4111 1111 1111 1112",
    "timestamp 1712345678901234",
    "Published 2026-02-14 10:30:22, call later",
    "icon@2x.png, git@github.com:ana/app.git, noreply@anthropic.com",
    "10.0.1.23:8080 -> 192.168.1.10",
]


@pytest.mark.parametrize("text", LEFT)
def test_left_in_a_talk(text: str) -> None:
    assert Scrubber().scrub(text).text == text
