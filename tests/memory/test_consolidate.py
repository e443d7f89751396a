"""Consolidation: the person's own statements are proposed with their place, once, and never what is not theirs."""

import json
from datetime import date
from pathlib import Path

import pytest

from memory.api import Memory
from memory.errors import UsageError
from memory.statements import THRESHOLD, asks_to_keep_out, sentences, worth
from memory.typed import typed
from tests.memory.conftest import own_session


@pytest.mark.parametrize(
    "said",
    [
        "my sister lives in Ghent and calls on sundays",
        "We decided on 2026-02-05 that the council gets tables in metres.",
        "the backup runs at 03:20 every night",
        "I am allergic to penicillin.",
        "i always take the bus to gaia at 8:15",
        "A minha irmã faz anos a 9 de maio.",
        "moro no porto e trabalho em gaia desde 2019, sempre de bicicleta",
        "Combinámos que o relatório sai todas as sextas às 17h.",
        "wifi dies every evening around 8",
        "polvo was adopted 3 october not november",
    ],
)
def test_facts_preferences_and_commitments_are_proposed(said: str) -> None:
    assert worth(said) >= THRESHOLD


@pytest.mark.parametrize(
    "said",
    [
        "does the backup run at 03:20 every night?",
        "what is my sister's birthday again",
        "write a letter to my sister about the 9 of may, always politely",
        "escreve à minha irmã que chego sempre às 9",
        "ok thanks",
        "that is in the folder already",
        "it's fine now, i think",
        "you are always right about my cat",
        "maybe my sister is at home today, i guess",
        "2026-02-17 18:44 812 /mnt/baleia/snapshots/2026-02-18/home",
    ],
)
def test_questions_orders_and_the_moment_are_not(said: str) -> None:
    assert worth(said) < THRESHOLD


def test_a_message_is_cut_into_sentences_and_only_what_was_typed_counts() -> None:
    assert sentences("My cat is grey. He eats at 8!\n- and sleeps") == [
        "My cat is grey.",
        "He eats at 8!",
        "and sleeps",
    ]
    assert typed('reply to this: "Dear all, our office is always closed on Mondays. Ana" thanks').count("office") == 0
    assert typed("look at this\n\n" + "Our office is always closed on Mondays. " * 8) == "look at this"
    assert typed("Rui wrote\nRui: my car is always at the station") == "Rui wrote"
    assert typed("I moved.\n\nMy street is Rua do Almada.") == "I moved.\n\nMy street is Rua do Almada."
    assert asks_to_keep_out("e não guardes isto")
    assert asks_to_keep_out("don't write that down")


def test_candidates_have_their_place_and_are_reviewed_once(memory: Memory) -> None:
    writer, _ = own_session(
        memory.home,
        ("Hello. My sister lives in Ghent and calls on sundays. What now?", "Tea."),
        ("from tomorrow the backup runs at 02:40 every night", "Noted."),
        ("and my sister calls on Sundays, she lives in Ghent", "Yes."),
    )
    memory.sync()
    found = memory.candidates()
    texts = {one.text for one in found}
    assert len(found) == 2  # the third says what the first says
    ghent = next(one for one in found if "Ghent" in one.text)
    assert (ghent.conversation, ghent.citation.split()[1]) == (writer.id, writer.id[:8])
    assert "What now?" in ghent.around or "lives" in ghent.around
    assert memory.candidates(since=date(2999, 1, 1)) == []
    receipt = memory.accept(ghent.id)
    assert receipt.action == "added"
    assert receipt.text in texts
    backup = next(one for one in memory.candidates() if "backup" in one.text)
    memory.reject(backup.id)
    assert memory.candidates() == []
    writer.user("From tomorrow, the backup runs at 02:40 every night!")
    writer.user("my sister calls on sundays; she lives in Ghent")
    memory.sync()
    assert memory.candidates() == []
    assert b"02:40" not in memory.home.memory_file.read_bytes()
    with pytest.raises(UsageError, match="no candidate of this id; see: molt memory review"):
        memory.accept("ffffffffffff")
    assert memory.undo().action == "restored"
    assert not memory.home.memory_file.exists()


def test_other_words_may_be_kept_and_no_entry_is_lost(memory: Memory) -> None:
    memory.home.memory_file.write_text("# MEMORY\n\n## People\n- My sister is a painter in Ghent.\n- Ana is a nurse.\n")
    own_session(memory.home, ("my sister sold her flat in Ghent on 3 march", "Ah."))
    memory.sync()
    (one,) = memory.candidates()
    before = memory.home.memory_file.read_text().splitlines()
    receipt = memory.accept(one.id, "My sister sold her flat in Ghent on 2026-03-03.")
    after = memory.home.memory_file.read_text().splitlines()
    assert after[receipt.line - 1] == "- My sister sold her flat in Ghent on 2026-03-03."
    assert after[: receipt.line - 1] + after[receipt.line :] == before
    assert after.index("## People") < receipt.line


FACT = "My vault password is always under the {} stone in Ghent, since 3 march"


def test_nothing_untrusted_labelled_or_unwanted_becomes_a_candidate(memory: Memory, tmp_path: Path) -> None:
    memory.home.config_file.write_text('[memory]\nnever_train = ["#draft"]\n')
    again = Memory(memory.home)
    said = [
        f"what is this?\n\n> {FACT.format('quoted')}",
        f"see:\n```\n{FACT.format('fenced')}\n```",
        f"read this mail please\n\nFrom: a@b.c\nSubject: hi\n{FACT.format('mailed')}",
        f'he said "{FACT.format("spoken")}" and left',
        f"<private>{FACT.format('private')}</private>",
        f"#draft {FACT.format('drafted')}",
    ]
    own_session(memory.home, *((text, f"He says: {FACT.format('agent')}") for text in said))
    own_session(memory.home, (FACT.format("regretted"), "Noted."), ("forget it, between us", "Yes."))
    own_session(memory.home, (f"{FACT.format('wished')}", "Noted."))
    log = tmp_path / "log.jsonl"
    messages = [
        {"role": "user", "content": "what is in the file?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "read", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": FACT.format("tool")},
        {"role": "assistant", "content": FACT.format("tool")},
    ]
    log.write_text(json.dumps({"messages": messages}))
    note = tmp_path / "foreign.md"
    note.write_text(f"- {FACT.format('noted')}\n")
    again.sync()
    again.ingest([log])
    again.ingest([log.with_name("private.jsonl")])
    private = tmp_path / "private.jsonl"
    private.write_text(json.dumps({"messages": [{"role": "user", "content": FACT.format("labelled")}]}))
    again.ingest([private], label="private")
    found = again.candidates()
    assert [one.said for one in found] == [FACT.format("wished")]
    again.forget([next(one.id for one in again.list() if "wished" in one.text)])
    assert again.candidates() == []
    again.close()


def test_what_another_agent_was_asked_to_remember_comes_first(memory: Memory, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    texts = ["i am a hydrologist at the river office, always was", "remember: passport is in the blue atlas"]
    log.write_text(
        json.dumps(
            {
                "messages": [
                    message
                    for text in texts
                    for message in ({"role": "user", "content": text}, {"role": "assistant", "content": "Yes."})
                ]
            }
        )
    )
    memory.ingest([log])
    assert next(one.text for one in memory.candidates()) == "Passport is in the blue atlas"
