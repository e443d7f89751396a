"""Claims of acts: found in both languages when nothing was done, silent when it was, and silent about plain talk."""

import pytest

from molting_agent.tools.claims import unbacked
from molting_agent.tools.results import ToolUse

CLAIMS = {
    "I saved it to notes.txt.": "write_file",
    "I've just created the file for you.": "write_file",
    "Escrevi isso no ficheiro lista.txt.": "write_file",
    "Guardei a nota.": "write_file",
    "I deleted the file.": "run_command",
    "Apaguei o ficheiro.": "run_command",
    "I ran the tests and all is well.": "run_command",
    "Executei o comando.": "run_command",
    "I've noted that.": "remember",
    "Anotei isso.": "remember",
    "Noted.": "remember",
    "I sent the email to Ana.": "",
    "Enviei a mensagem.": "",
    "I checked the file, and it is empty.": "read_file",
    "I forgot what you said, as you asked.": "forget",
}
TALK = [
    "I wrote poems once.",
    "You could have saved it to notes.txt.",
    "If I saved it to a file, you would know.",
    "I have not deleted the file.",
    "Não apaguei o ficheiro.",
    "I would write it down first.",
    "I remember that day well.",
    "The script deleted the file.",
    'You said: "I deleted the file."',
    "```\nI deleted the file.\n```",
    "Gosto de escrever no diário.",
    "A note is a small thing.",
]


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_without_a_receipt_is_found(claim: str) -> None:
    assert unbacked(f"Hello there.\n{claim}", []) == [claim]


@pytest.mark.parametrize("claim", [claim for claim, tool in CLAIMS.items() if tool])
def test_the_receipt_of_the_act_ends_it_and_a_refusal_does_not(claim: str) -> None:
    assert unbacked(claim, [ToolUse("1", CLAIMS[claim], {}, "done")]) == []
    assert unbacked(claim, [ToolUse("1", CLAIMS[claim], {}, "no", "refused")]) == [claim]


@pytest.mark.parametrize("talk", TALK)
def test_talk_is_no_claim(talk: str) -> None:
    assert unbacked(talk, []) == []
