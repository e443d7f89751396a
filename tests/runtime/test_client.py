"""The engine process with the real model: streaming, prefix reuse, cancel, scores, crashes."""

import math
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from memory.errors import EngineError
from memory.home import Home
from molting_agent.runtime.client import EngineClient, worker_environment
from molting_agent.runtime.models import embedded_model
from molting_agent.runtime.protocol import Delta, Done, Sampling, Segment
from molting_agent.runtime.template import Message, count_prefix, render

GREEDY = Sampling(temperature=0, repeat_penalty=1.0)
SYSTEM = Message("system", "You are Cláudio, a lobster who answers in one short sentence. " * 8)


def prompt(engine: EngineClient, *words: str) -> list[Segment]:
    roles = ("user", "assistant")
    messages = [SYSTEM, *(Message(roles[i % 2], w) for i, w in enumerate(words))]
    return render(engine.info.chat_template, messages, end_tokens=engine.info.end_tokens)


def say(engine: EngineClient, segments: list[Segment], **options: object) -> tuple[str, Done]:
    items = list(engine.generate(segments, sampling=GREEDY, prefix_segments=count_prefix(segments), **options))
    assert all(isinstance(i, Delta) for i in items[:-1])
    assert isinstance(items[-1], Done)
    return "".join(i.text for i in items[:-1]), items[-1]


def test_each_turn_evaluates_only_its_new_tokens(engine: EngineClient) -> None:
    first = prompt(engine, "What is a tide?")
    reply, _ = say(engine, first, max_tokens=8)
    longer = prompt(engine, "What is a tide?", reply, "And a shell?")
    _, done = say(engine, longer, max_tokens=4)
    added = sum(map(len, engine.tokenize(longer))) - sum(map(len, engine.tokenize(first)))
    assert done.evaluated_tokens <= added + 4 < done.prompt_tokens


def test_greedy_reply_is_the_same_from_a_fresh_and_from_a_reused_prompt(engine: EngineClient) -> None:
    segments = prompt(engine, "Name a river in Porto.")
    first, _ = say(engine, segments, max_tokens=12)
    say(engine, prompt(engine, "Something else entirely"), max_tokens=3)
    again, _ = say(engine, segments, max_tokens=12)
    assert again == first != ""


def test_prefix_state_is_restored_in_a_new_process_with_the_same_reply(home: Home) -> None:
    with EngineClient(embedded_model(home), home=home, context_tokens=1024) as engine:
        segments = prompt(engine, "Who are you?")
        cold_reply, cold = say(engine, segments, max_tokens=12)
    with EngineClient(embedded_model(home), home=home, context_tokens=1024) as engine:
        warm_reply, warm = say(engine, segments, max_tokens=12)
    assert not cold.prefix_restored
    assert warm.prefix_restored
    assert warm.evaluated_tokens < cold.evaluated_tokens / 3
    assert warm_reply == cold_reply


def test_damaged_prefix_state_is_thrown_away(home: Home) -> None:
    with EngineClient(embedded_model(home), home=home, context_tokens=1024) as engine:
        segments = prompt(engine, "Who are you?")
        good, _ = say(engine, segments, max_tokens=6)
    (state,) = (home.cache_dir / "kv").glob("*.kv")
    raw = bytearray(state.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    state.write_bytes(raw)
    with EngineClient(embedded_model(home), home=home, context_tokens=1024) as engine:
        reply, done = say(engine, segments, max_tokens=6)
    assert not done.prefix_restored
    assert reply == good


def test_cancel_in_the_middle_of_prompt_evaluation(engine: EngineClient) -> None:
    long = prompt(engine, "word " * 1500)
    threading.Timer(0.3, engine.cancel).start()
    items = list(engine.generate(long, max_tokens=5))
    assert isinstance(items[-1], Done)
    assert items[-1].reason == "cancelled"
    assert items[-1].reply_tokens == 0
    assert say(engine, prompt(engine, "Still there?"), max_tokens=3)[1].reason == "length"


def test_cancel_while_it_speaks_and_leaving_early(engine: EngineClient) -> None:
    stream = engine.generate(prompt(engine, "Tell me a very long story."), max_tokens=400, sampling=GREEDY)
    next(stream)
    engine.cancel()
    last = list(stream)[-1]
    assert isinstance(last, Done)
    assert last.reason == "cancelled"
    abandoned = engine.generate(prompt(engine, "Another story."), max_tokens=400)
    next(abandoned)
    abandoned.close()
    assert say(engine, prompt(engine, "Still there?"), max_tokens=3)[1].reply_tokens == 3


def test_score_sums_to_the_probability_of_the_text(engine: EngineClient) -> None:
    """A text scores the same with and without what follows it; next tokens' probabilities add up to at most 1."""
    before = prompt(engine, "What is the capital of Portugal?")
    whole = engine.score([*before, Segment("Lisbon", target=True), Segment("<|im_end|>", special=True, target=True)])
    assert [len(v) for v in whole.token_logprobs] == [
        len(ids) for ids in engine.tokenize([Segment("Lisbon"), Segment("<|im_end|>", special=True)])
    ]
    assert whole.bytes == (6, 10)
    alone = engine.score([*before, Segment("Lisbon", target=True)])
    assert alone.token_logprobs[0] == pytest.approx(whole.token_logprobs[0], abs=2e-3)
    options = [" yes", " no", "The", "I", "Porto"]
    total = sum(math.exp(engine.score([*before, Segment(o, target=True)]).token_logprobs[0][0]) for o in options)
    assert 0 < total <= 1


def test_score_agrees_with_torch(engine: EngineClient) -> None:
    """The same GGUF in transformers gives the text the same log-probability, within quantised arithmetic."""
    import torch
    from transformers import AutoModelForCausalLM

    path = engine.model.path
    segments = [
        *prompt(engine, "Where do you live?"),
        Segment("On a shelf, between a dictionary and a cactus.", target=True),
    ]
    ours = -engine.score(segments).nats[0]
    ids = engine.tokenize(segments)
    model = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=torch.float32)
    flat = torch.tensor([[t for segment in ids for t in segment]])
    with torch.no_grad():
        logprobs_TV = model(flat).logits[0].log_softmax(-1)
    labels = ids[-1]
    start = flat.shape[1] - len(labels)
    theirs = sum(logprobs_TV[start - 1 + i, t].item() for i, t in enumerate(labels))
    assert ours == pytest.approx(theirs, rel=0.02)


def test_text_longer_than_the_window_is_one_clear_line(engine: EngineClient) -> None:
    with pytest.raises(EngineError, match="does not fit into the window"):
        list(engine.generate(prompt(engine, "word " * 3000)))
    with pytest.raises(EngineError, match="does not fit into the window"):
        engine.score([Segment("a"), Segment("word " * 3000, target=True)])


def test_killed_worker_is_restarted_and_the_talk_goes_on(home: Home) -> None:
    notices: list[str] = []
    with EngineClient(embedded_model(home), home=home, context_tokens=1024, on_restart=notices.append) as engine:
        segments = prompt(engine, "Tell me a long story.")
        stream = engine.generate(segments, max_tokens=300)
        next(stream)
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match="died"):
            list(stream)
        assert say(engine, segments, max_tokens=3)[1].reply_tokens == 3
    assert len(notices) == 1
    assert "signal 9" in notices[0]


def test_worker_ends_when_its_parent_is_gone(home: Home) -> None:
    engine = EngineClient(embedded_model(home), home=home, context_tokens=512)
    process = engine._process
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    engine.close()


def test_bad_adapter_is_refused_and_the_old_voice_stays(engine: EngineClient, tmp_path: Path) -> None:
    segments = prompt(engine, "Who are you?")
    before, _ = say(engine, segments, max_tokens=6)
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + os.urandom(200))
    with pytest.raises(Exception, match=r"damaged|cut short"):
        engine.swap(tmp_path / "bad.gguf")
    with pytest.raises(EngineError, match="not an adapter"):
        engine.swap(engine.model.path)
    assert engine.info.adapter is None
    assert say(engine, segments, max_tokens=6)[0] == before


def test_stderr_of_the_worker_goes_to_the_homes_log(home: Home) -> None:
    with EngineClient(embedded_model(home), home=home, context_tokens=512) as engine:
        assert engine.info.context_tokens == 512
    deadline = time.monotonic() + 5
    while not (home.logs_dir / "engine.log").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (home.logs_dir / "engine.log").exists()


def test_threads_sleep_only_where_the_cores_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert "OMP_WAIT_POLICY" not in worker_environment(shares_cores=False)
    assert worker_environment(shares_cores=True)["OMP_WAIT_POLICY"] == "passive"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")  # what the person set themselves stands
    assert worker_environment(shares_cores=True)["OMP_WAIT_POLICY"] == "active"


def test_what_can_be_asked_again_is_asked_again_when_the_worker_dies_over_it(home: Home) -> None:
    notices: list[str] = []
    with EngineClient(embedded_model(home), home=home, context_tokens=1024, on_restart=notices.append) as engine:
        words = [Segment("The tide comes in twice a day.")]
        before = engine.tokenize(words)
        for ask in (lambda: engine.tokenize(words), lambda: engine.warm(words)):
            os.kill(engine.pid, signal.SIGSTOP)  # so that the request is on its way when the worker dies
            killer = threading.Timer(0.3, os.kill, (engine.pid, signal.SIGKILL))
            killer.start()
            answer = ask()
            killer.join()
            assert answer in (before, None)
        assert engine.tokenize(words) == before
    assert ["signal 9" in notice for notice in notices] == [True, True]
