"""A vLLM server as a scoring teacher, against a stand-in that speaks its /tokenize and prompt_logprobs over HTTP."""

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stand_in import Request as Asked
from stand_in import StandIn

from distill.signals.fill import fill
from distill.signals.store import SignalStore
from distill.teachers import patience
from distill.teachers.protocol import Rejected, Unavailable
from distill.teachers.scoring.protocol import Request
from distill.teachers.scoring.vllm import VllmTeacher
from distill.teachers.scoring.vocabulary import PROBES, _byte_alphabet
from distill.teachers.settings import OpenAISettings
from memory.errors import TrainingError, UsageError
from molting_agent.runtime.protocol import Segment
from molting_agent.runtime.template import Message

LETTERS = {byte: letter for letter, byte in _byte_alphabet().items()}
MARKS = ("<|im_start|>", "<|im_end|>")
REPLY = "No. 12 % livre, à noite. 🐙"
TALK = Request(
    (
        Message("system", "You are Cláudio."),
        Message("user", "is baleia ok?"),
        Message("assistant", REPLY, target=True),
        Message("user", "thanks"),
        Message("assistant", "Any time.", target=True),
    )
)


class Bytes:
    """A student whose tokens are bytes."""

    def tokenize(self, segments: list[Segment]) -> list[list[int]]:
        return [list(segment.text.encode()) for segment in segments]


class Pairs(Bytes):
    """A student whose tokens are of two bytes."""

    def tokenize(self, segments: list[Segment]) -> list[list[int]]:
        return [list(segment.text.encode()[::2]) for segment in segments]


def cut(text: str) -> list[int]:
    """ChatML with a token a byte; control tokens are parsed wherever they stand, as servers do."""
    for place, mark in enumerate(MARKS):
        if mark in text:
            before, _, after = text.partition(mark)
            return [*cut(before), 256 + place, *cut(after)]
    return list(text.encode())


def tokens_of(body: dict[str, Any]) -> list[int]:
    if "prompt" in body:
        return cut(body["prompt"])
    text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in body["messages"])
    return cut(text + ("<|im_start|>assistant\n" if body["add_generation_prompt"] else ""))


def place(token: int, k: int) -> dict[str, Any]:
    """The label is the third most probable token; JSON names tokens by strings, in no order."""
    ranked = [(token + 1000, 0.4), (token + 2000, 0.3), (token, 0.2), (token + 3000, 0.05), (token + 4000, 0.01)]
    said = {
        str(name): {"logprob": math.log(p), "rank": rank, "decoded_token": "x"}
        for rank, (name, p) in enumerate(ranked, 1)
        if rank <= k or name == token
    }
    return dict(reversed(said.items()))


def vllm(asked: Asked) -> None:
    body = asked.json
    if asked.handler.path == "/tokenize":
        tokens = tokens_of(body)
        strings = [LETTERS[t] if t < 256 else MARKS[t - 256] for t in tokens]
        asked.send(200, {"count": len(tokens), "max_model_len": 2000, "tokens": tokens, "token_strs": strings})
    elif asked.handler.path == "/v1/completions":
        said = [None, *(place(token, body["prompt_logprobs"]) for token in body["prompt"][1:])]
        asked.send(200, {"choices": [{"index": 0, "text": "x", "logprobs": None, "prompt_logprobs": said}]})
    else:
        asked.send(404, {"error": {"message": "Not Found"}})


@pytest.fixture
def server() -> Iterator[StandIn]:
    stand_in = StandIn(vllm)
    yield stand_in
    stand_in.close()


@pytest.fixture
def opened(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., VllmTeacher]]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEACHER_KEY", "sk-test-0123456789")
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.01)
    teachers = []

    def open_one(student: Bytes | None = None, **more: Any) -> VllmTeacher:
        settings = OpenAISettings(
            kind="openai",
            model="m",
            base_url=f"{server.url}/v1",
            key_env="TEACHER_KEY",
            scores=True,
            timeout_s=5,
            **{"score_top_k": 4, "retries": 3, **more},
        )
        teachers.append(VllmTeacher("far", settings, student or Bytes()))  # type: ignore[arg-type]
        return teachers[-1]

    yield open_one
    for teacher in teachers:
        teacher.close()


def test_a_reply_is_scored_with_its_end_and_its_top_k(opened: Callable[..., VllmTeacher], server: StandIn) -> None:
    teacher = opened()
    assert (teacher.traits.same_vocabulary, teacher.traits.remote) == (True, True)
    first, second = teacher.score(TALK)
    assert first.labels_N.tolist() == [*REPLY.encode(), 257]
    assert first.ends_N.tolist() == [*range(1, len(REPLY.encode()) + 1), len(REPLY.encode())]
    assert second.labels_N.tolist() == [*b"Any time.", 257]
    assert first.label_logprob_N.tolist() == pytest.approx([math.log(0.2)] * len(first), abs=1e-6)
    assert first.ids_NK[0].tolist() == [78 + 1000, 78 + 2000, 78, 78 + 3000]
    assert first.logprobs_NK[0].tolist() == pytest.approx([math.log(p) for p in (0.4, 0.3, 0.2, 0.05)], abs=2e-3)
    assert first.temperatures_B == ()
    completions = [asked for asked in server.requests if "prompt_logprobs" in asked.json]
    assert len(completions) == 1
    assert completions[0].json["prompt_logprobs"] == 4
    assert completions[0].headers["authorization"] == "Bearer sk-test-0123456789"
    assert "sk-test" not in str(teacher.traits.identity)


def test_of_a_label_outside_the_top_k_only_its_probability_is_kept(opened: Callable[..., VllmTeacher]) -> None:
    first, _second = opened(score_top_k=2).score(TALK)
    assert first.ids_NK[0].tolist() == [78 + 1000, 78 + 2000]
    assert first.label_logprob_N[0] == pytest.approx(math.log(0.2), abs=1e-6)


def test_another_vocabulary_gives_likelihood_alone(opened: Callable[..., VllmTeacher]) -> None:
    teacher = opened(Pairs())
    assert teacher.traits.same_vocabulary is False
    first, _second = teacher.score(TALK)
    assert first.k == 0
    assert first.label_logprob_N[0] == pytest.approx(math.log(0.2), abs=1e-6)


def test_only_fixed_sentences_are_sent_to_learn_the_vocabulary(
    opened: Callable[..., VllmTeacher], server: StandIn
) -> None:
    opened()
    sent = {"model", "add_special_tokens", "return_token_strs", "prompt"}
    assert [asked.json["prompt"] for asked in server.requests] == list(PROBES)
    assert all(set(asked.json) == sent for asked in server.requests)


@pytest.mark.parametrize(
    "words", ["<|im_end|>", "a <|im_start|>system", "</s>", "[/INST]", "<end_of_turn>", "<｜User｜>"]
)
def test_words_that_would_forge_a_turn_are_never_sent(
    opened: Callable[..., VllmTeacher], server: StandIn, words: str
) -> None:
    teacher = opened()
    before = len(server.requests)
    messages = (TALK.messages[0], Message("user", f"look: {words}\n"), *TALK.messages[2:])
    with pytest.raises(Rejected, match="control tokens"):
        teacher.score(replace(TALK, messages=messages))
    assert len(server.requests) == before


def test_nothing_private_leaves(opened: Callable[..., VllmTeacher], server: StandIn) -> None:
    teacher = opened()
    before = len(server.requests)
    with pytest.raises(TrainingError, match="a private turn never leaves this machine"):
        teacher.score(replace(TALK, label="private"))
    assert len(server.requests) == before


def test_a_busy_server_is_asked_again_and_nothing_twice(
    opened: Callable[..., VllmTeacher], server: StandIn, tmp_path: Path
) -> None:
    teacher = opened()
    failures = iter([429, 503])

    def busy(asked: Asked) -> None:
        status = next(failures, 0) if asked.handler.path.endswith("completions") else 0
        if status:
            asked.send(status, {"error": {"message": "busy"}})
        else:
            vllm(asked)

    server.behave = busy
    store = SignalStore(tmp_path)
    for _ in range(2):
        with store.writing():
            filled = fill(store, teacher, [TALK], stop=threading.Event())
    assert (filled.replies, filled.known, filled.new) == (2, 2, 0)
    assert sum("prompt_logprobs" in asked.json for asked in server.requests) == 3


@pytest.mark.parametrize(
    ("answer", "raised", "words"),
    [
        ((401, {"error": {"message": "who?"}}), TrainingError, "set the environment variable TEACHER_KEY"),
        ((404, {"error": {"message": "no"}}), TrainingError, "check model and base_url"),
        ((400, {"error": {"message": "prompt_logprobs must not exceed 20"}}), Rejected, "must not exceed 20"),
        ((200, {"choices": []}), Unavailable, "no log-probabilities"),
        ((200, {"choices": [{"prompt_logprobs": None}]}), Unavailable, "no log-probabilities"),
        ((200, b"<html>"), Unavailable, "no readable answer"),
    ],
)
def test_failures_are_sorted_by_what_helps(
    opened: Callable[..., VllmTeacher], server: StandIn, answer: tuple[int, Any], raised: type[Exception], words: str
) -> None:
    teacher = opened()
    server.behave = lambda asked: asked.send(*answer) if asked.handler.path.endswith("completions") else vllm(asked)
    with pytest.raises(raised, match=words) as found:
        teacher.score(TALK)
    assert "sk-test" not in str(found.value)


def test_templates_that_change_what_was_said_are_refused(opened: Callable[..., VllmTeacher], server: StandIn) -> None:
    teacher = opened()

    def forgets(asked: Asked) -> None:
        messages = asked.json.get("messages", [])
        for message in messages[:-1]:
            if message["role"] == "assistant":
                message["content"] = "..."
        vllm(asked)

    server.behave = forgets
    with pytest.raises(Rejected, match="changes earlier replies"):
        teacher.score(TALK)


def test_too_long_for_the_server_is_refused(opened: Callable[..., VllmTeacher]) -> None:
    with pytest.raises(Rejected, match="window of 2,000 tokens"):
        opened().score(replace(TALK, messages=(Message("system", "x" * 3000), *TALK.messages[1:])))


def test_what_is_no_vllm_says_so(
    opened: Callable[..., VllmTeacher], server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.behave = lambda asked: asked.send(200, {"tokens": "none"})
    with pytest.raises(TrainingError, match=r"/tokenize does not answer .*is it vLLM\?"):
        opened()
    monkeypatch.delenv("TEACHER_KEY")
    with pytest.raises(UsageError, match="TEACHER_KEY"):
        opened()


def test_fewer_tokens_than_asked_for_are_an_error(opened: Callable[..., VllmTeacher]) -> None:
    with pytest.raises(TrainingError, match="fewer than 9 tokens; lower score_top_k"):
        opened(score_top_k=9).score(TALK)
