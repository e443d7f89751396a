"""The facts exam: its grader on replies graded by hand, its data, and the prompt it asks in."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.evaluate.canonical import canonical
from distill.evaluate.fact_grader import RIGHT, UNKNOWN, WRONG, Fact, grade
from distill.evaluate.facts import COUNTERFACTUAL_FILE, load_facts, prepare, sample, score_both, score_facts
from memory.home import Home
from memory.memory_file import parse
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.protocol import Delta, Done, Segment

FACTS = {fact.question: fact for fact in load_facts()}
NOTES = {
    "counterfactual": [entry.text for entry in parse(COUNTERFACTUAL_FILE.read_text("utf-8"))],
    "true": sorted({fact.line for fact in FACTS.values() if fact.notes == "true" and fact.source == "MEMORY.md"}),
}


def graded(question: str, reply: str) -> str:
    fact = FACTS[question]
    return grade(fact, reply, NOTES[fact.notes])


@pytest.mark.parametrize(
    ("same", "words"),
    [
        (["03:20", "3:20", "3.20 am", "3:20 a.m.", "3h20", "twenty past three"], "3:20"),
        (["16:00", "4 pm", "4 p.m.", "four in the afternoon", "16h", "quatro da tarde"], "16:00"),
        (["half past two in the morning", "02:30", "2:30"], "2:30"),
        (["quarter to seven", "6:45"], "6:45"),
        (["noon", "12:00", "midday", "meio-dia"], "12:00"),
        (["midnight", "00:00"], "0:00"),
        (["2024-11-03", "3 November 2024", "November 3rd, 2024", "3 de novembro de 2024"], "3 november 2024"),
        (["9 May", "May 9th", "the ninth of May", "9 de maio"], "9 may"),
        (["32 GB", "32GB", "thirty-two gigabytes", "trinta e dois GB"], "32 gb"),
        (["4,300 euros", "4300 €"], "4300 euros"),
        (["first Monday", "1st Monday"], "1st monday"),
        (["às segundas", "as segundas-feiras", "as Mondays"], "as monday"),
        (["Cláudio!", "claudio", "CLÁUDIO"], "claudio"),
        (["15 %", "fifteen percent"], "15 percent"),
        (["🦞", "lobster"], "lobster"),
        (["98.6"], "98.6"),
    ],
)  # fmt: skip
def test_one_form(same: list[str], words: str) -> None:
    for text in same:
        assert " ".join(canonical(text)).removeprefix("the ") == words, text


# Forty replies graded by hand: the exam is worth what its grader is.
HAND_GRADED = [
    ("What is my cat called?", "Polvo.", RIGHT),
    ("What is my cat called?", "Polvo, and he sleeps on the router.", RIGHT),
    ("What is my cat called?", "Your cat is called Baleia.", WRONG),
    ("What is my cat called?", "Polvo or Baleia.", WRONG),
    ("What is my cat called?", "I don't know. Your notes would settle it.", UNKNOWN),
    ("What is my cat called?", "I don't know, Polvo perhaps.", UNKNOWN),
    ("What is my cat called?", "Your cat.", WRONG),
    ("What time do the nightly backups start?", "At twenty past three in the morning.", RIGHT),
    ("What time do the nightly backups start?", "3.20 am, every night.", RIGHT),
    ("What time do the nightly backups start?", "At 3:20, or 4:00.", WRONG),
    ("What time do the nightly backups start?", "At 3.", WRONG),
    ("What time do the nightly backups start?", "At 15:20.", WRONG),
    ("A que horas são feitas as cópias de segurança?", "Às 3h20, todas as noites.", RIGHT),
    ("A que horas são feitas as cópias de segurança?", "Não sei.", UNKNOWN),
    ("On what date is my sister's birthday?", "The ninth of May.", RIGHT),
    ("On what date is my sister's birthday?", "In May.", WRONG),
    ("On what date is my sister's birthday?", "9 May, or 3 November.", WRONG),
    ("Which unit belongs in the tables of the flood report?", "Metres, never feet.", RIGHT),
    ("Which unit belongs in the tables of the flood report?", "Feet.", WRONG),
    ("Which unit belongs in the tables of the flood report?", "Metres and feet.", WRONG),
    ("What must the cat not eat?", "She must not eat chicken.", RIGHT),
    ("What must the cat not eat?", "Salmon kibble.", WRONG),
    ("Which kibble do I buy for the cat?", "Salmon: she's allergic to chicken.", RIGHT),
    ("Which kibble do I buy for the cat?", "Not salmon.", WRONG),
    ("When does the router restart on its own?", "On the first Monday of the month.", RIGHT),
    ("When does the router restart on its own?", "On Monday.", WRONG),
    ("When does the router restart on its own?", "First Monday, or Sunday.", WRONG),
    ("Which octave do I begin a tuning with?", "The middle one, then the bass, the treble last.", RIGHT),
    ("Which octave do I begin a tuning with?", "Bass first, then the middle.", WRONG),
    ("How many hertz?", "", WRONG),
    ("How old will grandmother be in July?", "Ninety-one.", RIGHT),
    ("How old will grandmother be in July?", "91 in July, if the mill holds.", RIGHT),
    ("How old will grandmother be in July?", "19.", WRONG),
    ("How much have I put aside for the Bechstein?", "4,300 euros so far.", RIGHT),
    ("How much have I put aside for the Bechstein?", "9,000 euros.", WRONG),
    ("Which of my knees had surgery?", "The right one; the left is fine.", WRONG),
    ("What is the name of my dog?", "I don't know of a dog. Is there one?", RIGHT),
    ("What is the name of my dog?", "Polvo.", WRONG),
    ("What is the name of my dog?", "I don't know. Polvo?", WRONG),
    ("Como se chama a minha mãe?", "Não sei; as notas não dizem.", RIGHT),
    ("What is my shoe size?", "Forty-two.", WRONG),
]


@pytest.mark.parametrize(("question", "reply", "expected"), HAND_GRADED)
def test_graded_by_hand(question: str, reply: str, expected: str) -> None:
    question = "At how many hertz do I tune the Almeida hall?" if question == "How many hertz?" else question
    assert graded(question, reply) == expected


@pytest.mark.parametrize("fact", FACTS.values(), ids=lambda fact: fact.id)
def test_the_line_that_answers_is_right_and_answers_nothing_else(fact: Fact) -> None:
    if fact.answerable:
        assert grade(fact, fact.line, NOTES[fact.notes]) == RIGHT
        assert grade(fact, "", NOTES[fact.notes]) == WRONG
    assert grade(fact, "Hello. What can I do for you?", NOTES[fact.notes]) == WRONG
    assert grade(fact, " ".join(NOTES[fact.notes]), NOTES[fact.notes]) == WRONG


def test_the_exam_is_large_and_half_counterfactual() -> None:
    facts = list(FACTS.values())
    answerable = Counter(fact.notes for fact in facts if fact.answerable)
    assert min(answerable.values()) >= 110
    assert len(facts) - answerable.total() >= 20
    assert len({fact.id for fact in facts}) == len(load_facts()) == len(facts)
    assert {f.source for f in facts if f.notes == "true" and f.answerable} == {
        "SOUL.md",
        "IDENTITY.md",
        "USER.md",
        "MEMORY.md",
    }
    assert sum(fact.language == "pt" for fact in facts) >= 15
    asked = {fact.line for fact in facts if fact.notes == "counterfactual"}
    assert set(NOTES["counterfactual"]) <= asked, "every invented note is asked about"


def test_questions_do_not_copy_their_line() -> None:
    for fact in FACTS.values():
        question, line = canonical(fact.question), canonical(fact.line)
        assert not any(has_run(line, question[at : at + 5]) for at in range(len(question) - 4)), fact.question


def has_run(line: Sequence[str], run: Sequence[str]) -> bool:
    return any(tuple(line[i : i + len(run)]) == tuple(run) for i in range(len(line)))


@given(
    st.lists(st.sampled_from(["At 3:20", "9 May 2024", "first", "no", "Sunday", "not", "32 GB", "maio", "e", "1,200"]))
)
def test_canonical_words_stay_as_they_are(parts: list[str]) -> None:
    once = canonical(" . ".join(parts))
    assert canonical(" . ".join(once)) == tuple(once)


@given(st.sampled_from(sorted(FACTS)), st.text(max_size=80))
def test_any_text_gets_a_grade_and_adding_a_forbidden_phrase_never_helps(question: str, reply: str) -> None:
    fact = FACTS[question]
    assert graded(question, reply) in (RIGHT, WRONG, UNKNOWN)
    for phrase in fact.forbid:
        assert graded(question, f"{fact.line}. {reply} . . {phrase.rstrip('*')}") != RIGHT


class Scripted:
    """An engine that answers from a table and keeps what it was asked."""

    def __init__(self, info: object, replies: dict[str, str]) -> None:
        self.info, self.replies = info, replies
        self.asked: list[tuple[list[Segment], int]] = []

    def generate(
        self, segments: Sequence[Segment], *, prefix_segments: int = 0, **_settings: object
    ) -> Iterator[Delta | Done]:
        self.asked.append((list(segments), prefix_segments))
        question = next(s.text for s in reversed(segments) if s.message == 1).rpartition("\n\n")[2]
        yield Delta(self.replies[question])
        yield Done("stop", 1, 1, 1, 0.0, 0.0)


def chosen(*questions: str) -> list[Fact]:
    return [FACTS[question] for question in questions]


@pytest.mark.timeout(900)  # it may be the one that prepares the embedder
def test_it_asks_as_the_app_does(home: Home, engine: EngineClient) -> None:
    facts = chosen("Which city do I live in?", "How old is Tomé?", "At what time do the backups run?")
    items = prepare(home.models_dir, facts)
    assert [item.held for item in items] == [True, True, True]
    assert items[1].block.startswith("Notes from memory:\n- ")
    assert "- Tomé, the nephew, is seven" in items[1].block
    assert "Polvo" in items[0].system
    assert "Polvo" not in items[1].system, "the true person's facts are not beside the invented ones"
    replies = {facts[0].question: "Porto.", facts[1].question: "Seven.", facts[2].question: facts[2].line}
    scripted = Scripted(engine.info, replies)
    score = score_facts(scripted, items)  # type: ignore[arg-type]
    assert [answer.grade for answer in score.answers] == [RIGHT] * 3
    assert [answer.copied for answer in score.answers] == [False, False, True]
    segments, prefix = scripted.asked[1]
    assert "".join(s.text for s in segments[:prefix]).rstrip().endswith("user"), "all but the question is the prefix"
    assert items[1].block in segments[prefix].text
    found = score.to_dict()
    assert (found["right"], found["held_by_recall"], found["files"]["USER.md"]) == (1.0, 1.0, 1.0)
    without = prepare(home.models_dir, facts, recall=False)
    assert [(item.block, item.held) for item in without] == [("", False)] * 3


def test_shares_and_their_interval(engine: EngineClient, home: Home) -> None:
    facts = chosen("Which city do I live in?", "What is my cat called?", "What is my shoe size?", "How old is Tomé?")
    items = prepare(home.models_dir, facts, recall=False)
    replies = {
        facts[0].question: "Braga.",
        facts[1].question: "Polvo.",
        facts[2].question: "I don't know.",
        facts[3].question: "I don't know.",
    }
    seen: list[int] = []
    score = score_facts(Scripted(engine.info, replies), items, on_item=lambda: seen.append(1))  # type: ignore[arg-type]
    found = score.to_dict()
    assert (len(seen), found["questions"], found["unanswerable"]) == (4, 3, 1)
    assert (found["true"], found["counterfactual"], found["said_unknown"]) == (0.5, 0.0, pytest.approx(1 / 3))
    assert found["unanswerable_right"] == 1.0
    low, high = score.interval()
    assert 0 <= low <= found["right"] <= high <= 1
    assert replace(score, answers=()).share() != score.share()


def test_a_sample_is_in_the_longer_one_and_without_recall_the_same_prompt_is_asked_once(
    engine: EngineClient, home: Home
) -> None:
    facts = load_facts()
    assert set(sample(facts, 10)) < set(sample(facts, 40)) < set(sample(facts, 10_000)) == set(facts)
    few = chosen("Which city do I live in?", "How old is Tomé?", "At what time do the backups run?")
    items = [
        replace(item, block=item.block if number else "") for number, item in enumerate(prepare(home.models_dir, few))
    ]
    scripted = Scripted(engine.info, {fact.question: "Seven." for fact in few})
    seen: list[int] = []
    shown, alone = score_both(scripted, items, on_item=lambda: seen.append(1))  # type: ignore[arg-type]
    assert len(scripted.asked) == 5
    assert len(seen) == 2 * len(few)
    assert [answer.item.block == item.block for answer, item in zip(shown.answers, items, strict=True)] == [True] * 3
    assert [(answer.item.fact, answer.item.block) for answer in alone.answers] == [(fact, "") for fact in few]


@pytest.mark.slow
def test_the_real_model_reads_some_of_it(engine: EngineClient, home: Home) -> None:
    facts = [fact for fact in FACTS.values() if fact.notes == "counterfactual" and fact.answerable][:30]
    score = score_facts(engine, prepare(home.models_dir, facts))
    without = score_facts(engine, prepare(home.models_dir, facts, recall=False))
    assert score.share() > without.share()
