"""Soft targets from the runtime: exact against the whole softmax, compact on the way, the same labels as ``score``."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.errors import EngineError
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.echo import EchoEngine
from molting_agent.runtime.protocol import Segment
from molting_agent.runtime.soft_rows import SOFT_CHUNK_ROWS, SoftRows, label_logprobs
from molting_agent.runtime.template import Message, render

TEMPERATURES = (2.0, 3.0, 4.0, 5.0)
WORDS = "The tide took the shell, and não voltou: 3 times. 🐙"


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 2 * SOFT_CHUNK_ROWS + 3),
    vocabulary=st.integers(2, 40),
    spread=st.floats(0.01, 50),
    data=st.data(),
)
def test_rows_are_the_softmax_in_float64(rows: int, vocabulary: int, spread: float, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, vocabulary))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    logits_NV = (rng.normal(size=(rows, vocabulary)) * spread + 1000).astype(np.float32)
    labels_N = rng.integers(0, vocabulary, rows).tolist()
    found = SoftRows.of(logits_NV, labels_N, k, TEMPERATURES)
    wide_NV = logits_NV.astype(np.float64)
    logprobs_NV = wide_NV - np.log(np.exp(wide_NV - wide_NV.max(1)[:, None]).sum(1))[:, None] - wide_NV.max(1)[:, None]
    np.testing.assert_allclose(found.label_logprob_N, logprobs_NV[np.arange(rows), labels_N], atol=2e-4, rtol=1e-5)
    np.testing.assert_allclose(found.logprobs_NK, -np.sort(-logprobs_NV, axis=1)[:, :k], atol=2e-4, rtol=1e-5)
    assert all(len(set(row)) == k for row in found.ids_NK.tolist())
    np.testing.assert_allclose(
        np.take_along_axis(logprobs_NV, found.ids_NK.astype(int), 1), found.logprobs_NK, atol=2e-4, rtol=1e-5
    )
    for column, temperature in enumerate(TEMPERATURES):
        whole_N = np.log(np.exp(logprobs_NV / temperature).sum(1))
        np.testing.assert_allclose(found.log_partition_NB[:, column], whole_N, atol=2e-4, rtol=1e-5)


def test_label_alone_is_what_score_gives() -> None:
    logits_NV = np.random.default_rng(1).normal(size=(5, 9)).astype(np.float32)
    np.testing.assert_allclose(
        SoftRows.of(logits_NV, [1, 2, 3, 4, 8], 0, ()).label_logprob_N,
        label_logprobs(logits_NV, [1, 2, 3, 4, 8]),
        rtol=1e-6,
    )


def dialogue(engine: EngineClient | EchoEngine) -> list[Segment]:
    info = engine.info
    messages = [
        Message("system", "You are Cláudio."),
        Message("user", "what did the tide do?"),
        Message("assistant", WORDS, target=True),
        Message("user", "and then?"),
        Message("assistant", "Nothing.", target=True),
    ]
    return render(info.chat_template, messages, end_tokens=info.end_tokens, bos_token=info.bos_token, generate=False)


def test_the_real_model_says_the_same_as_score_and_its_top_k_is_a_distribution(engine: EngineClient) -> None:
    segments = dialogue(engine)
    plain = [value for values in engine.score(segments).token_logprobs for value in values]
    soft = engine.soft_targets(segments, k=32, temperatures=TEMPERATURES)
    np.testing.assert_allclose(soft.label_logprob_N, plain, atol=1e-5)
    targets = [ids for s, ids in zip(segments, engine.tokenize(segments), strict=True) if s.target]
    assert soft.tokens == tuple(map(len, targets))
    assert soft.labels_N.tolist() == [token for ids in targets for token in ids]
    assert (np.diff(soft.logprobs_NK, axis=1) <= 0).all()
    in_top = soft.ids_NK == soft.labels_N[:, None]
    assert in_top.any()
    np.testing.assert_allclose(soft.logprobs_NK[in_top], soft.label_logprob_N[in_top.any(1)], atol=1e-5)
    assert (np.exp(soft.logprobs_NK.astype(float)).sum(1) < 1).all()
    assert (np.diff(soft.log_partition_NB, axis=1) > 0).all()  # warmer: more mass in the tail


def test_sizes_spell_the_reply_and_markup_has_none(engine: EngineClient) -> None:
    segments = dialogue(engine)
    soft = engine.soft_targets(segments, k=1)
    words, end = soft.tokens[:2]
    assert soft.sizes_N[:words].sum() == len(WORDS.encode())
    assert soft.sizes_N[words : words + end].sum() == 0
    assert b"".join(engine.token_bytes(soft.labels_N[:words].tolist())) == WORDS.encode()
    assert soft.log_partition_NB.shape == (len(soft.labels_N), 0)


def test_a_top_k_of_everything_sums_to_one_and_one_more_is_refused(engine: EngineClient) -> None:
    short = [Segment("a", special=True), Segment(" b", target=True)]
    with pytest.raises(EngineError, match="more than the vocabulary"):
        engine.soft_targets(short, k=10**6)
    whole = engine.soft_targets(short, k=49152, temperatures=(2.0,))
    probabilities = np.exp(whole.logprobs_NK.astype(float))
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(np.log(np.sqrt(probabilities).sum(1)), whole.log_partition_NB[:, 0], atol=1e-4)


def test_no_target_gives_nothing(engine: EngineClient) -> None:
    found = engine.soft_targets([Segment("nothing to learn")], k=4, temperatures=(2.0,))
    assert (found.tokens, found.ids_NK.shape, found.log_partition_NB.shape) == ((), (0, 4), (0, 1))


def test_on_the_pipe_a_token_takes_less_than_half_of_its_digits(engine: EngineClient) -> None:
    segments = dialogue(engine)
    raw = engine._call(
        "soft_targets", segments=[[s.text, s.special, s.target] for s in segments], k=32, temperatures=[]
    )
    soft = engine.soft_targets(segments, k=32)
    digits = json.dumps([soft.ids_NK.tolist(), soft.logprobs_NK.tolist(), soft.label_logprob_N.tolist()])
    assert len(json.dumps(raw)) < len(digits) / 2


def test_the_echo_engine_gives_a_distribution_that_can_be_checked_by_hand() -> None:
    engine = EchoEngine()
    soft = engine.soft_targets(dialogue(engine), k=3, temperatures=(1.0, 2.0))
    words, end, *_rest = soft.tokens
    assert soft.sizes_N[:words].sum() == len(WORDS.encode())
    assert soft.sizes_N[words : words + end].tolist() == [0]
    assert soft.label_logprob_N.tolist() == [-1.0] * sum(soft.tokens)
    np.testing.assert_allclose(soft.log_partition_NB[:, 0], 0, atol=1e-6)
    other = (1 - np.exp(-1)) / 4
    np.testing.assert_allclose(soft.log_partition_NB[:, 1], np.log(np.exp(-0.5) + 4 * np.sqrt(other)), rtol=1e-6)
    np.testing.assert_allclose(np.exp(soft.logprobs_NK).sum(1), np.exp(-1) + 2 * other, rtol=1e-6)
