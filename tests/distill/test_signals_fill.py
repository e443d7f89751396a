"""Filling a store: only what is new, one evaluation a dialogue; then calibration and tensors of what is in it."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.dialogue import Dialogue
from distill.losses.soft_targets import soft_targets
from distill.signals.calibration import calibration_of, expected_calibration_error
from distill.signals.fill import Filled, fill, missing, request_of, stored
from distill.signals.record import Signal, decode, encode, signal
from distill.signals.store import SignalStore
from distill.signals.tensors import labels_of, soft_targets_of
from distill.teachers import patience
from distill.teachers.protocol import Rejected, Unavailable
from distill.teachers.scoring.protocol import Request, ScoringTraits, key_of
from memory.errors import TrainingError
from molting_agent.runtime.template import Message

TRAITS = ScoringTraits("t", "test", "m", identity={"sha256": "x", "k": 1})


def talk(*words: str) -> Request:
    """A dialogue of a question and a reply in turn; every reply is a target."""
    roles = ("user", "assistant")
    messages = [Message(roles[n % 2], word, target=n % 2 == 1) for n, word in enumerate(words)]
    return Request((Message("system", "s"), *messages), ids=("c", *words))


class Words:
    """Scores each reply with one token a word; keeps what it was asked."""

    def __init__(self, traits: ScoringTraits = TRAITS) -> None:
        self.traits = traits
        self.asked: list[list[str]] = []
        self.failures: list[Exception] = []

    def score(self, request: Request) -> list[Signal]:
        self.asked.append([request.messages[place].content for place in request.targets])
        if self.failures:
            raise self.failures.pop(0)
        return [self.say(request.messages[place].content) for place in request.targets]

    @staticmethod
    def say(text: str) -> Signal:
        sizes = [len(word) for word in text.split(" ")]
        return signal(sizes, np.cumsum(sizes), [-1.0] * len(sizes), [[size] for size in sizes], [[-0.5]] * len(sizes))

    def close(self) -> None:
        """Nothing to let go of."""


def run(
    folder: Path, teacher: Words, *requests: Request, stop: threading.Event | None = None, **more: object
) -> Filled:
    store = SignalStore(folder)
    with store.writing():
        return fill(store, teacher, requests, stop=stop or threading.Event(), **more)  # type: ignore[arg-type]


def test_only_what_is_new_is_scored_and_a_dialogue_at_once(tmp_path: Path) -> None:
    teacher = Words()
    first = talk("q", "one reply", "q2", "another")
    done = run(tmp_path, teacher, first)
    assert teacher.asked == [["one reply", "another"]]
    assert (done.replies, done.known, done.new, done.tokens, done.left, done.stopped) == (2, 0, 2, 3, 0, False)
    longer = talk("q", "one reply", "q2", "another", "q3", "the third")
    done = run(tmp_path, teacher, longer, first)
    assert teacher.asked[1:] == [["the third"]]
    assert (done.replies, done.known, done.new) == (3, 2, 1)
    assert run(tmp_path, teacher, longer, first).new == 0
    assert len(teacher.asked) == 2
    found = stored(SignalStore(tmp_path), TRAITS, longer)
    assert [one.labels_N.tolist() if one else None for one in found] == [[3, 5], [7], [3, 5]]


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, messages=(Message("system", "other"), *r.messages[1:])),
        lambda r: replace(r, messages=(*r.messages[:1], Message("user", "other"), *r.messages[2:])),
        lambda r: replace(r, messages=(*r.messages[:2], replace(r.messages[2], content="other"), *r.messages[3:])),
    ],
    ids=["system", "question", "reply"],
)
def test_another_context_or_text_is_another_signal(change: object) -> None:
    request = talk("q", "a", "q2", "b")
    before = [key_of(TRAITS, request.messages, place) for place in request.targets]
    after = [key_of(TRAITS, change(request).messages, place) for place in request.targets]  # type: ignore[operator]
    assert not set(before) & set(after)


def test_what_comes_later_and_who_is_a_target_changes_nothing() -> None:
    request = talk("q", "a", "q2", "b")
    alone = [replace(m, target=place == 4) for place, m in enumerate(request.messages)]
    assert key_of(TRAITS, request.messages, 2) == key_of(TRAITS, request.messages[:3], 2)
    assert key_of(TRAITS, request.messages, 4) == key_of(TRAITS, alone, 4)
    other = replace(TRAITS, identity={**TRAITS.identity, "k": 2})
    assert key_of(TRAITS, request.messages, 4) != key_of(other, request.messages, 4)
    assert key_of(TRAITS, request.messages, 4) == key_of(replace(TRAITS, name="u"), request.messages, 4)


def test_stopped_it_keeps_what_was_scored_and_goes_on(tmp_path: Path) -> None:
    teacher, stop = Words(), threading.Event()
    requests = [talk("q", f"reply {n}") for n in range(5)]

    def progress(filled: Filled) -> None:
        if filled.new == 2:
            stop.set()

    done = run(tmp_path, teacher, *requests, stop=stop, on_progress=progress)
    assert done.stopped
    assert 2 <= done.new <= 3
    assert done.left == 5 - done.new
    again = run(tmp_path, teacher, *requests)
    assert (again.known, again.new, again.stopped) == (done.new, 5 - done.new, False)
    assert sorted(teacher.asked) == sorted([f"reply {n}"] for n in range(5))


def test_a_dialogue_that_cannot_be_scored_is_counted_and_the_others_go_on(tmp_path: Path) -> None:
    teacher = Words()
    teacher.failures = [Rejected("too long")]
    done = run(tmp_path, teacher, talk("q", "a", "q", "b"), talk("q2", "c"))
    assert (dict(done.left_out), done.new, done.left) == ({"too long": 2}, 1, 0)
    assert stored(SignalStore(tmp_path), TRAITS, talk("q", "a", "q", "b")) == [None, None]


def test_silence_is_waited_for_and_then_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.001)
    teacher = Words(replace(TRAITS, retries=2))
    teacher.failures = [Unavailable("503"), Unavailable("503")]
    assert run(tmp_path, teacher, talk("q", "a")).new == 1
    assert len(teacher.asked) == 3
    teacher.failures = [Unavailable("503: busy")] * 3
    with pytest.raises(TrainingError, match=r"no answer \(503: busy\); run the same command again"):
        run(tmp_path, teacher, talk("q", "b"))


def test_several_threads_score_each_once(tmp_path: Path) -> None:
    teacher = Words(replace(TRAITS, concurrency=4))
    requests = [talk("q", f"reply {n}") for n in range(20)]
    assert run(tmp_path, teacher, *requests).new == 20
    assert sorted(teacher.asked) == sorted([f"reply {n}"] for n in range(20))
    assert len(SignalStore(tmp_path)) == 20


def test_what_a_teacher_reads_beside_all_is_named_once(tmp_path: Path) -> None:
    teacher = Words(replace(TRAITS, context_ids=("memory-1",)))
    run(tmp_path, teacher, talk("q", "a"))
    run(tmp_path, teacher, talk("q", "b"))
    assert len(SignalStore(tmp_path)) == 3


def test_a_dialogue_becomes_a_request_with_all_its_sources() -> None:
    messages = (Message("user", "q"), Message("assistant", "a", target=True))
    dialogue = Dialogue("conversation", messages, (), False, "", ids=(("m1", "memory"), ("m2",)))
    request = request_of(dialogue, "who he is")
    assert request.messages[0] == Message("system", "who he is")
    assert request.ids == ("conversation", "m1", "memory", "m2")
    assert request.targets == (2,)


def test_missing_changes_nothing(tmp_path: Path) -> None:
    found, filled = missing(SignalStore(tmp_path / "none"), TRAITS, [talk("q", "a"), talk("q", "a", "q", "b")])
    assert [request.targets for request in found] == [(2,), (4,)]
    assert (filled.replies, filled.left) == (2, 2)
    assert not (tmp_path / "none").exists()


# -- calibration -------------------------------------------------------------------------------------------------------


def said(confidence: float, hits: list[bool]) -> Signal:
    """A reply whose first choice has this confidence, right where ``hits`` says so."""
    labels = [1 if hit else 9 for hit in hits]
    count = len(hits)
    return signal(labels, range(1, count + 1), [-1.0] * count, [[1, 2]] * count, [[np.log(confidence), -9.0]] * count)


def test_error_by_hand() -> None:
    confidences, hits = np.array([0.9, 0.9, 0.5, 0.5]), np.array([1.0, 0.0, 1.0, 0.0])
    assert expected_calibration_error(confidences, hits, 2) == pytest.approx((2 * 0.4 + 2 * 0.0) / 4)
    assert expected_calibration_error(confidences, hits, 1) == pytest.approx(0.2)
    assert expected_calibration_error(np.ones(3), np.ones(3)) == 0


def test_a_teacher_who_is_surer_than_right_is_named() -> None:
    rng = np.random.default_rng(3)
    honest = calibration_of([said(0.7, (rng.random(40) < 0.7).tolist()) for _ in range(50)])
    boaster = calibration_of([said(0.9, (rng.random(40) < 0.7).tolist()) for _ in range(50)])
    modest = calibration_of([said(0.5, (rng.random(40) < 0.7).tolist()) for _ in range(50)])
    assert [honest.overconfident, boaster.overconfident, modest.overconfident] == [False, True, False]
    assert boaster.error == pytest.approx(0.2, abs=0.03)
    assert boaster.confidence == pytest.approx(0.9, abs=1e-3)
    assert honest.gap_low < 0 < honest.gap_high
    assert boaster.text().startswith("overconfident: 90.0% sure")
    assert boaster.to_dict()["overconfident"] is True


def test_calibration_needs_a_top_k() -> None:
    with pytest.raises(ValueError, match="top-k"):
        calibration_of([signal([1], [1], [-1.0])])


# -- tensors -----------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), spread=st.floats(0.5, 4))
def test_what_comes_out_of_a_store_is_the_dense_teacher(seed: int, spread: float) -> None:
    """Half floats on disk: the top-k is right to one part in a thousand, at the stored temperatures the tail too."""
    torch.manual_seed(seed)
    logits_NV = torch.randn(6, 200) * spread
    labels_N = torch.randint(200, (6,))
    temperatures = (2.0, 5.0)
    dense = soft_targets(logits_NV, labels_N, k=32, temperatures=temperatures)
    numbers = [t.numpy() for t in (dense.label_logprob_N, dense.ids_NK, dense.logprobs_NK, dense.log_partition_NB)]
    one = signal(labels_N.numpy(), np.arange(1, 7), *numbers, temperatures)  # type: ignore[call-arg]
    kept = decode(memoryview(encode("0" * 64, one, set()))).signal
    halves = [slice(0, 2), slice(2, 6)]
    names = ("labels_N", "ends_N", "label_logprob_N", "ids_NK", "logprobs_NK", "log_partition_NB")
    parts = [Signal(*(getattr(kept, name)[half] for name in names), temperatures) for half in halves]
    found = soft_targets_of(parts)
    assert labels_of(parts).tolist() == labels_N.tolist()
    assert found.ids_NK.tolist() == dense.ids_NK.tolist()
    for temperature in (1.0, *temperatures):
        wanted_NV = torch.log_softmax(logits_NV.double() / temperature, dim=1)
        sparse = found.at(temperature)
        gap_NK = sparse.logprobs_NK - wanted_NV.gather(1, sparse.ids_NK)
        assert float(gap_NK.abs().max()) < 5e-3
        mass_N = 1 - wanted_NV.exp().gather(1, sparse.ids_NK).sum(1)
        assert float((sparse.tail_logprob_N.exp() - mass_N).abs().max()) < 2e-3


def test_signals_of_two_forms_cannot_stand_together() -> None:
    one = said(0.5, [True])
    with pytest.raises(ValueError, match="one top-k and one set"):
        soft_targets_of([one, signal([1], [1], [-1.0])])
    with pytest.raises(ValueError, match="K >= 1"):
        soft_targets_of([signal([1], [1], [-1.0])])
