"""Recall with the real embedder over sample memories: found, cited, and silent when nothing fits."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from memory.api import Memory, memory_block
from memory.home import Home
from memory.recall.block import LINE_CHARS, shorten
from memory.recall.lexical import rarity
from memory.recall.words import content_terms
from memory.values import RecalledMemory
from tests.memory.conftest import own_session


def _lines(home: Home, citation: str) -> str:
    """The lines of the home that a citation names."""
    path, first, last = re.fullmatch(r"(.*?):(\d+)(?:-(\d+))?", citation).groups()  # type: ignore[union-attr]
    return "\n".join((home.root / path).read_text().splitlines()[int(first) - 1 : int(last or first)])


def test_the_line_on_the_backups_is_among_the_first_three(claudio: Memory) -> None:
    found = claudio.recall("when do the backups run", k=3)
    backups = next(memory for memory in found if memory.text.startswith("Backups: every night at 03:20"))
    assert backups.citation == "MEMORY.md:10"
    assert backups.trust == "owner"
    assert "03:20" in memory_block(found)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("which disk do the backups go to", "Baleia"),
        ("what can the cat not eat", "Allergic to chicken"),
        ("who has a spare key to the flat", "neighbour downstairs"),
        ("when does my sister call", "lives in Ghent"),
        ("what operating system runs on the mini computer", "Concha: fanless"),
        ("why does the internet drop on Mondays", "router reboots"),
        ("deadline for the council's flood report", "last working day"),
        ("how do I like my plots", "plotting style"),
        ("what happened to the ferry photographs", "Ask before I tidy"),
        ("a que horas correm os backups", "03:20"),
    ],
)
def test_questions_about_what_was_kept_find_it_among_the_first_three(claudio: Memory, query: str, words: str) -> None:
    found = claudio.recall(query, k=3)
    assert any(words in memory.text and memory.citation.startswith("MEMORY.md:") for memory in found)


@pytest.mark.parametrize(
    "query",
    ["what is the capital of Mongolia", "explain quicksort in python", "good night", "hello there", "ok", "???", " "],
)
def test_nothing_is_shown_when_nothing_fits(claudio: Memory, query: str) -> None:
    assert claudio.recall(query) == []
    assert memory_block(claudio.recall(query)) == ""


def test_every_citation_resolves(claudio: Memory) -> None:
    turns = [turn for talk in claudio.conversations() for turn in talk.turns]
    said = [turn.text for turn in turns]
    places = {turn.id: place for place, turn in enumerate(turns)}
    for found in claudio.list(limit=1000):
        if found.message_id:
            day, conversation, word, message = found.citation.split()
            assert (found.timestamp[:10], found.conversation[:8], "message") == (day, conversation, word)
            assert found.message_id.startswith(message)
            words = re.sub(r"^(My human|Me)[^:]*: ", "", found.text).split("\n")[0][:40]
            exchange = said[places[found.message_id] :][:4]  # a reply is cited to the question before it
            assert any(words in text for text in exchange), found
        else:
            assert found.text in _lines(claudio.home, found.citation)
    assert [m.id for m in claudio.get([found.id for found in claudio.list()])] == [m.id for m in claudio.list()]


def test_parts_and_scores_are_shares(claudio: Memory) -> None:
    found = claudio.recall("is there enough space on the backup disk", k=5)
    assert [memory.score for memory in found] == sorted((memory.score for memory in found), reverse=True)
    for memory in found:
        assert 0 < memory.score <= 1
        assert memory.parts.keys() >= {"lexical", "vector", "recency"}


def test_a_conversation_can_be_left_out(claudio: Memory) -> None:
    query = "the loop to rename ferry photos with spaces and brackets"
    first = next(memory for memory in claudio.recall(query) if memory.conversation)
    without = claudio.recall(query, exclude_transcript=first.conversation)
    assert first.conversation not in {memory.conversation for memory in without}


def test_budget_and_count_are_kept(claudio: Memory) -> None:
    query = "backup disk Baleia space"
    assert len(claudio.recall(query, k=2)) == 2
    whole = claudio.recall(query, k=5, budget_tokens=2000)
    some = claudio.recall(query, k=5, budget_tokens=120)
    assert 0 < len(some) < len(whole)
    assert len(memory_block(some)) / 3.6 <= 120
    assert claudio.recall(query, k=0) == claudio.recall(query, budget_tokens=3) == []


def test_near_duplicates_fold(memory: Memory, tmp_path: Path) -> None:
    same = "The boiler of the house was repaired in March by Mr Tavares"
    memory.add(same)
    (tmp_path / "note.md").write_text(f"- {same}.\n- The boiler uses gas\n")
    memory.ingest([tmp_path / "note.md"])
    assert sum("Tavares" in found.text for found in memory.recall("boiler house repaired", k=5)) == 1


@pytest.mark.parametrize("others", [0, 1, 5, 40])
def test_words_alone_find_a_memory_however_few_there_are(memory: Memory, others: int) -> None:
    for number in range(others):
        memory.add(f"Something else entirely, with the number {number}")
    memory.add("My bicycle is red and has a bell")
    assert memory.recall("what colour is my bicycle")[0].text == "My bicycle is red and has a bell"


def test_a_new_memory_is_found_at_once_before_it_has_a_vector(claudio: Memory) -> None:
    before = claudio.stats()["vectors_missing"]
    claudio.add("The cavaquinho teacher is called Dona Amélia")
    assert claudio.stats()["vectors_missing"] == before + 1
    assert claudio.recall("who is the cavaquinho teacher")[0].text == "The cavaquinho teacher is called Dona Amélia"
    assert claudio.fill_vectors() == 1
    assert "vector" in claudio.recall("who is the cavaquinho teacher")[0].parts


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("maca joao", "maçã de João"),
        ("MAÇÃ JOÃO", "maçã de João"),
        ("onde esta a chave do sotao", "Sótão"),
        ("reuniao com a irma do Antonio", "Irmã do António"),
        ("pao de lo da avo Inacia", "Pão de Ló"),
        ("cafe Nicosia", "Café Nicósia"),
        ("uber strasse", "Straße"),
    ],
)
def test_accents_and_case_are_folded(claudio: Memory, query: str, words: str) -> None:
    for text in (
        "A maçã de João está na mesa da cozinha",
        "Chave do Sótão: na gaveta azul",
        "Irmã do António: reunião às quintas, na câmara",
        "Pão de Ló da avó Inácia: doze ovos",
        "O Café Nicósia fecha às segundas",
        "Über: the taxi stand is in Lange Straße, Bremen",
    ):
        claudio.add(text)
    assert any(words in memory.text for memory in claudio.recall(query, k=5))


def test_what_was_said_on_a_day_is_found_by_the_day(memory: Memory) -> None:
    for day, text in (("2026-02-08", "The ferry was late"), ("2026-02-09", "The river rose by a metre")):
        (memory.home.notes_dir / f"{day}.md").write_text(f"- {text}\n")
    memory.sync()
    assert [found.text for found in memory.recall("what happened on 9 February 2026?")] == ["The river rose by a metre"]
    assert memory.recall("what happened on 1 December 2025?") == []


def test_who_he_is_can_be_recalled_and_goes_with_its_file(memory: Memory) -> None:
    memory.home.identity_dir.joinpath("IDENTITY.md").write_text(
        "# IDENTITY\n\n- Symbol: a spiny lobster\n- Kind: an AI\n"
    )
    memory.sync()
    (found,) = memory.recall("what is your symbol")
    assert (found.citation, found.trust) == ("identity/IDENTITY.md:3", "owner")
    (receipt,) = memory.forget([found.id])
    assert (receipt.action, receipt.line) == ("removed", 3)
    assert "lobster" not in memory.home.identity_dir.joinpath("IDENTITY.md").read_text()
    memory.home.identity_dir.joinpath("IDENTITY.md").unlink()
    assert memory.sync().removed == 1


def test_own_unapproved_replies_are_not_recalled(memory: Memory) -> None:
    writer, (reply,) = own_session(memory.home, ("what is the name of the lighthouse", "It is Farol da Barca Velha."))
    memory.sync()
    assert memory.recall("name of the lighthouse Farol da Barca Velha") == []
    writer.rate(reply, 1)
    memory.sync()
    assert "Barca Velha" in memory.recall("name of the lighthouse")[0].text


def test_the_block_is_plain_lines_cut_at_a_word() -> None:
    said = RecalledMemory(
        "1",
        "My human: why?\nMe: " + "because " * 100,
        "",
        "c",
        1.0,
        {},
        "agent",
        "normal",
        "s",
        "m",
        "2026-02-14T00:00:00Z",
    )
    kept = replace(said, text="A fact.\nOn two lines.", message_id="", timestamp="")
    block = memory_block([kept, said])
    head, first, second = block.split("\n")
    assert head == "Notes from memory:"
    assert first == "- A fact. On two lines."
    assert second.startswith("- 2026-02-14: My human: why? Me: because because")
    assert second.endswith("because…")
    assert len(second) <= len("- 2026-02-14: ") + LINE_CHARS
    assert shorten("short", 10) == "short"


def test_pure_parts() -> None:
    assert content_terms("When do the backups run at 3?") == ["backups", "run", "3"]
    assert content_terms("Good night, thanks!") == []
    assert rarity(0, 100) > rarity(1, 100) > rarity(100, 100) > 0
