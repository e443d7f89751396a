"""Decode and prefill against raw llama-cpp-python; a new session cold and restored; the swap; the cost of the adapter.

.venv/bin/python benchmarks/runtime.py [REPEATS]
"""

import shutil
import sys
import time
from pathlib import Path

import llama_cpp
from common import bench_home, print_table, ratios, seconds, spread

import identity
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import ModelFile, embedded_model
from molting_agent.runtime.prompt import read_identity
from molting_agent.runtime.protocol import Delta, Done, Sampling, Segment
from molting_agent.runtime.template import Message, count_prefix, render

PREFILL_TOKENS, DECODE_TOKENS = 1024, 128
SAMPLING = Sampling(temperature=0.7, seed=1)
TEXT = Segment("The tide comes in twice a day, and nobody has ever asked it to. " * 200)


def our_speeds(engine: EngineClient) -> tuple[float, float]:
    """Prefill and decode, tokens a second, of the worker as its client sees it, the pipe included."""
    words = engine.tokenize([TEXT])[0][:PREFILL_TOKENS]
    assert len(words) == PREFILL_TOKENS
    text = Segment(TEXT.text[: len(TEXT.text) * PREFILL_TOKENS // len(engine.tokenize([TEXT])[0])])
    engine.score([Segment("x"), Segment("y", target=True)])  # another text: nothing of the last round is reused
    started = time.perf_counter()
    first = 0.0
    done: Done | None = None
    for item in engine.generate([text], max_tokens=DECODE_TOKENS, sampling=SAMPLING):
        first = first or time.perf_counter() - started
        done = item if isinstance(item, Done) else None
    assert done is not None
    return done.evaluated_tokens / first, (done.reply_tokens - 1) / (time.perf_counter() - started - first)


def their_speeds(llm: llama_cpp.Llama) -> tuple[float, float]:
    """The same with ``llama_cpp.Llama``: eval of the prompt, then its own generate loop with the same sampling."""
    tokens = llm.tokenize(TEXT.text.encode(), add_bos=False)[:PREFILL_TOKENS]
    llm.reset()
    drawn = llm.generate(
        tokens,
        top_k=SAMPLING.top_k,
        top_p=SAMPLING.top_p,
        min_p=SAMPLING.min_p,
        temp=SAMPLING.temperature,
        repeat_penalty=SAMPLING.repeat_penalty,
    )
    started = time.perf_counter()
    next(drawn)
    first = time.perf_counter() - started
    count = 0
    for token in drawn:
        llm.detokenize([token])
        count += 1
        if count == DECODE_TOKENS - 1:
            break
    return len(tokens) / first, count / (time.perf_counter() - started - first)


def against_raw(home: Home, model: ModelFile, repeats: int) -> list[tuple[str, str, str]]:
    llm = llama_cpp.Llama(str(model.path), n_ctx=4096, n_batch=512, n_threads=2, n_threads_batch=2, verbose=False)
    with EngineClient(model, home=home, threads=2) as engine:
        ours, theirs = [], []
        our_speeds(engine), their_speeds(llm)
        for _ in range(repeats):
            ours.append(our_speeds(engine))
            theirs.append(their_speeds(llm))
    prefill = ratios([o[0] for o in ours], [t[0] for t in theirs])
    decode = ratios([o[1] for o in ours], [t[1] for t in theirs])
    return [
        ("prefill against llama-cpp-python", f"{spread(prefill)} at {spread([o[0] for o in ours], 0)} tok/s", "0.98"),
        ("decode against llama-cpp-python", f"{spread(decode)} at {spread([o[1] for o in ours], 0)} tok/s", "0.98"),
    ]


def question(engine: EngineClient, home: Home) -> list[Segment]:
    messages = [
        Message("system", read_identity(home.identity_dir)),
        Message("user", "Is the backup disk fine tonight?"),
    ]
    return render(engine.info.chat_template, messages, end_tokens=engine.info.end_tokens)


def first_token_s(engine: EngineClient, segments: list[Segment]) -> float:
    """Seconds from the request to the first text."""

    def ask() -> None:
        stream = engine.generate(segments, max_tokens=2, prefix_segments=count_prefix(segments))
        assert isinstance(next(stream), Delta)
        stream.close()

    return seconds(ask)


def new_session(home: Home, model: ModelFile, adapter: Path, repeats: int) -> list[tuple[str, str, str]]:
    """The first token of a new session in a loaded engine, the identity's state evaluated or restored from disk."""
    states = home.cache_dir / "kv"
    cold, restored, swaps = [], [], []
    with EngineClient(model, home=home, adapter=adapter, threads=2) as engine:
        segments = question(engine, home)
        engine.tokenize(segments)
        for _ in range(repeats):
            shutil.rmtree(states, ignore_errors=True)
            engine.swap(adapter)
            cold.append(first_token_s(engine, segments))
            engine.swap(adapter)
            restored.append(first_token_s(engine, segments))
            engine.swap(None)
            first_token_s(engine, segments)
            swaps.append(seconds(lambda: engine.swap(adapter)) + first_token_s(engine, segments))
        tokens = sum(map(len, engine.tokenize(segments)))
    return [
        (f"first token of a new session ({tokens} tokens), cold", f"{spread(cold)} s", ""),
        ("the same with the prefix restored", f"{spread(restored, 3)} s", ""),
        ("restored against cold", spread(ratios(restored, cold), 3), "0.1"),
        ("swap until the first token of the new molt", f"{spread(swaps, 3)} s", ""),
    ]


def adapter_cost(home: Home, model: ModelFile, adapter: Path, repeats: int) -> list[tuple[str, str, str]]:
    without, with_it = [], []
    with EngineClient(model, home=home, threads=2) as engine:
        for _ in range(repeats):
            engine.swap(None)
            without.append(our_speeds(engine)[1])
            engine.swap(adapter)
            with_it.append(our_speeds(engine)[1])
    return [("decode with the adapter against without", spread(ratios(with_it, without)), "")]


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    home = bench_home()
    model = embedded_model(home)
    adapter = Path(identity.__file__).parent / "molt-0001" / "adapter.gguf"
    rows = against_raw(home, model, repeats)
    rows += new_session(home, model, adapter, repeats)
    rows += adapter_cost(home, model, adapter, repeats)
    print_table(f"Runtime, {model.path.name}, 2 threads, {repeats} repeats", rows)


if __name__ == "__main__":
    main()
