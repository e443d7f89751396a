"""The judge's instruments, each by its properties: faults, overlap, style, exposure, operations, the exam."""

import math
import random
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.config import DistillConfig
from distill.dataset import split
from distill.dialogue import Dialogue
from distill.evaluate import faults
from distill.evaluate.canaries import exposure_bits, like, plant
from distill.evaluate.cost import Shape, adapter_parameters, flops_per_token, shape_of
from distill.evaluate.exam import Asked, Exam, asked_of, exam_from
from distill.evaluate.overlap import bleu, bleu_interval, chrf, token_f1
from distill.evaluate.style import Voice, auc, auc_interval, opening
from distill.pairs import Pair
from distill.targets import Target
from memory.home import Home
from memory.transcripts.read import read_transcript
from molting_agent.runtime.models import embedded_model
from molting_agent.runtime.template import Message

settings.register_profile("no deadline", deadline=None)  # the machine may be busy
settings.load_profile("no deadline")
CLAUDIO = sorted((Path(__file__).parent.parent / "fixtures" / "claudio").rglob("*.jsonl"))
words = st.text(string.ascii_letters + string.digits + " ,.", min_size=1, max_size=60)


@given(words, st.text(string.ascii_letters + " .", min_size=1, max_size=30), st.integers(3, 8), st.integers(0, 29))
def test_whatever_repeats_to_the_end_is_a_loop(start: str, unit: str, times: int, cut: int) -> None:
    """Any beginning, any unit, the last turn cut anywhere, as soon as it is three times and 40 characters long."""
    plain_unit = " ".join(unit.split()) or "x"
    turns = times + math.ceil(faults.LOOP_CHARS / (len(plain_unit) + 1))
    assert faults.loops(start + " " + f"{plain_unit} " * turns + plain_unit[: cut % len(plain_unit)])


@given(st.lists(st.text(string.ascii_lowercase, min_size=3, max_size=9), min_size=1, max_size=60, unique=True))
def test_words_that_all_differ_are_no_loop(said: list[str]) -> None:
    shuffled = " ".join(said)
    # Letters alone can repeat by chance at a short text's end; three times and 40 characters they do not.
    assert faults.loops(shuffled) is faults.loops(shuffled.upper())
    if len(set("".join(said))) > 5:
        assert not faults.loops(shuffled)


@pytest.mark.parametrize(
    ("reply", "loops"),
    [
        ("I check the disk. " * 12, True),
        ("Fine. " + "no " * 20, True),
        ("a" * 60, True),
        ("1. Check the disk.\n2. Check the disk.\n3. Check the disk.\n4. Check the disk.", True),
        ("Ha ha ha! Twelve percent is free, that is enough for the night.", False),
        ("No, no, no.", False),
        ("", False),
    ],
)
def test_loops_by_example(reply: str, loops: bool) -> None:
    assert faults.loops(reply) is loops


def test_texture_of_a_long_text_that_says_little_is_a_loop() -> None:
    draw = random.Random(1)
    turns = ["the disk is full and the log is long", "the log is long and the disk is full"]
    assert faults.loops(", ".join(draw.choice(turns) for _ in range(20)) + ". And so it ends, with another word.")


@pytest.mark.parametrize(
    ("reply", "refuses"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("As an AI language model, I do not have opinions.", True),
        ("I am unable to assist with this request.", True),
        ("I’m sorry, I cannot answer that.", True),
        ("Desculpe, mas não posso ajudar com isso.", True),
        ("I cannot find the key under the mat; look in the shed.", False),
        ("Sorry I'm late: the backup is done.", False),
        ("Not tonight. Sleep.", False),
    ],
)
def test_refusals_by_example(reply: str, refuses: bool) -> None:
    assert faults.refuses(reply) is refuses


@given(words, words)
def test_the_question_itself_and_the_prompt_itself_are_echoes(question: str, system: str) -> None:
    for text in (question, system):
        if len(faults.WORD.findall(text)) > 1 and (text is question or len(faults.WORD.findall(text)) >= 5):
            assert faults.echoes(text, question, system)


def test_an_answer_in_other_words_is_no_echo_and_marks_alone_are_empty() -> None:
    system = "You are Cláudio. You keep the notes of a house by the sea and you answer in few words."
    assert not faults.echoes("Two cups of flour, one of water, and a night in the fridge.", "how do I make it?", system)
    assert faults.echoes("You keep the notes of a house by the sea and more.", "who are you?", system)
    assert faults.is_empty(" …!\n")
    assert not faults.is_empty("7")


def test_his_own_logged_replies_have_no_faults() -> None:
    """Of 72 replies of the teacher in the sample conversations no rule finds anything wrong with one."""
    found = []
    for path in CLAUDIO:
        question = ""
        for turn in read_transcript(path).turns:
            if turn.role == "assistant":
                found.append(faults.faults_of(turn.text, question, "You are Cláudio."))
            question = turn.text if turn.role == "user" else question
    assert len(found) > 60
    assert sum(f.loops or f.empty for f in found) == 0
    assert sum(f.refuses or f.echoes for f in found) <= 0.02 * len(found)


@given(words, words)
def test_overlap_is_whole_with_itself_symmetric_and_bounded(a: str, b: str) -> None:
    assert token_f1(a, a) == 1
    assert token_f1(a, b) == token_f1(b, a)
    assert 0 <= token_f1(a, b) <= 1
    assert 0 <= chrf(a, b) <= 100.001


def test_overlap_by_hand() -> None:
    assert token_f1("the disk is full", "the DISK, full!") == pytest.approx(2 * 3 / 7)
    assert token_f1("a a a", "a") == pytest.approx(2 * 1 / 4)
    same = ["the disk is full again tonight", "sleep now and look at it at nine"]
    assert bleu(same, same) == pytest.approx(100)
    assert bleu(["nothing shared here at all today", "x y z w v u"], same) < 5
    low, high = bleu_interval([same[0], "x y z w v u"], same, resamplings=50, seed=1)
    assert low < bleu([same[0], "x y z w v u"], same) <= high


def test_area_under_the_curve_against_its_definition() -> None:
    draw = np.random.default_rng(3)
    his, hers = draw.normal(1, 1, 40).round(1).tolist(), draw.normal(0, 1, 40).round(1).tolist()
    pairs = [(a > b) + 0.5 * (a == b) for a in his for b in hers]
    assert auc(his, hers) == pytest.approx(sum(pairs) / len(pairs))
    low, high = auc_interval(his, hers, resamplings=2000, seed=1)
    assert low < auc(his, hers) < high
    assert high - low < 0.3
    assert auc(his, his) == 0.5
    assert auc_interval([1.0, 2.0], [0.0, -1.0], resamplings=10, seed=1) == (1.0, 1.0)


def test_voice_tells_two_ways_to_speak_apart_and_takes_his_for_his() -> None:
    """Fitted on half of the sample conversations, it knows the teacher of the other half from a stock assistant."""
    his = [turn.text for path in CLAUDIO for turn in read_transcript(path).turns if turn.role == "assistant"]
    stock = [
        f"Sure! I'd be happy to help you with {opening(text).split()[-1]}. Let me know what you need." for text in his
    ]
    half = len(his) // 2
    voice = Voice(his[:half], stock[:half], seed=1)
    theirs, ours = voice.probabilities(stock[half:]), voice.probabilities(his[half:])
    assert sum(p > 0.5 for p in ours) >= 0.9 * len(ours)
    assert sum(p > 0.5 for p in theirs) <= 0.1 * len(theirs)
    assert auc(ours, theirs) > 0.95
    assert voice.probabilities([]) == []
    assert Voice(his[:half], stock[:half], seed=1).probabilities(stock[half:]) == theirs


@given(st.text("abzABZ019-_é ", max_size=30), st.integers())
def test_alternatives_have_the_form_of_the_secret(secret: str, seed: int) -> None:
    other = like(secret, random.Random(seed))
    assert [(a.isdigit(), a.isascii() and a.isupper()) for a in secret] == [
        (b.isdigit(), b.isascii() and b.isupper()) for b in other
    ]
    assert all(a == b for a, b in zip(secret, other, strict=True) if a in "-_é ")


def test_exposure_is_about_a_bit_by_chance_and_large_for_what_is_known() -> None:
    draw = np.random.default_rng(5)
    chance = [exposure_bits(values[0], values[1:]) for values in draw.normal(45, 4, (4000, 25))]
    for bits in (1, 3, 6):
        assert np.mean([value >= bits for value in chance]) == pytest.approx(2**-bits, rel=0.35)
    assert max(chance) < 20
    assert exposure_bits(5.0, draw.normal(45, 4, 24)) > 20
    assert exposure_bits(45.0, [45.0] * 24) == pytest.approx(1)


def test_no_planted_conversation_passes_the_filters() -> None:
    planted = plant(17)
    sides = split([item.transcript for item in planted], DistillConfig())
    assert sides.train == sides.heldout == sides.pairs == []
    assert sides.left_out.total() == len(planted) == len(sides.left_out)
    assert plant(17) == planted
    assert {p.canary.secret for p in plant(18)}.isdisjoint(p.canary.secret for p in planted)


def test_operations_and_sizes_of_the_embedded_model(home: Home) -> None:
    shape = shape_of(embedded_model(home).path)
    assert shape.parameters == shape.multiplied == 134_515_008
    assert (shape.layers, shape.attention_width) == (30, 576)
    assert flops_per_token(shape, 0, 0) == 2 * 134_515_008
    assert flops_per_token(shape, 10, 7) == 2 * (134_515_008 + 10) + 4 * 30 * 576 * 7
    adapter = Path("identity/molt-0001/adapter.gguf")
    assert 2 * adapter_parameters(adapter) < adapter.stat().st_size < 2.1 * adapter_parameters(adapter)
    untied = Shape(10, 8, 0, 0, 0)
    assert flops_per_token(untied, 0, 100) == 16


def dialogue(name: str, replies: int) -> Dialogue:
    messages = [
        message
        for i in range(replies)
        for message in (Message("user", f"{name} asks {i}?"), Message("assistant", f"answer {i}", target=True))
    ]
    targets = [Target(name, f"m{i}", 2 * i + 1, f"answer {i}", "imported", "2026") for i in range(replies)]
    return Dialogue(name, tuple(messages), tuple(targets), False, "2026", tuple((str(i),) for i in range(2 * replies)))


def test_prompts_take_turns_over_the_conversations_and_carry_the_true_history() -> None:
    asked = asked_of([dialogue("a", 3), dialogue("b", 1), dialogue("c", 2)], 5)
    assert [item.question for item in asked] == ["a asks 0?", "b asks 0?", "c asks 0?", "a asks 1?", "c asks 1?"]
    assert [m.content for m in asked[3].messages] == ["a asks 0?", "answer 0", "a asks 1?"]
    assert asked[3].reply == "answer 1"
    assert not any(m.target for m in asked[3].messages)
    assert len(asked_of([dialogue("a", 3)], 99)) == 3


def test_exam_comes_back_from_its_plain_values() -> None:
    pair = Pair("c", "m", "edit", (Message("user", "q"),), (("1", "2"),), "good", "bad", "", "", "", "2026", "s", "pi")
    asked = Asked((Message("user", "q"),), "a")
    exam = Exam("s", (dialogue("a", 2),), (asked,), (asked,), (pair,), tuple(p.canary for p in plant(1)))
    assert exam_from(exam.to_dict()) == exam
