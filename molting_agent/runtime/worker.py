"""The inference process: reads requests as JSON lines on stdin, owns the model, answers on stdout, logs to stderr.

Requests: ``{"id", "op": open | generate | score | ..., ...}`` (the methods of Worker) and ``{"op": "cancel", "id"}``.
Answers: ``{"id", "delta"}``, ``{"id", "result"}`` or ``{"id", "error"}``; the last two end a request.
"""

import base64
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from memory.errors import MoltingError
from molting_agent.runtime.llama import Cancelled, Evaluated, Llama, common_prefix, quiet, requantise
from molting_agent.runtime.prefix_cache import PrefixCache, prefix_key
from molting_agent.runtime.protocol import Done, Sampling

# No screen is redrawn more often, and each message wakes the parent on a core that llama.cpp wants.
DELTA_INTERVAL_S = 0.03
ASIDE_TOKENS = 2048
"""Window of the context beside the conversation, in which tools are chosen; 45 MiB of KV cache for the 135M model."""


class Worker:
    """Serves one model; ``requests`` is filled by the reading thread, which also sets the abort flag."""

    def __init__(self, answers: TextIO) -> None:
        self.answers = answers
        self.requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.cancelled: set[int] = set()
        self.running: int | None = None
        self.llama: Llama
        self._aside: Llama | None = None
        self.prefixes: PrefixCache
        self.model_sha256 = ""
        self.adapter: Path | None = None
        self.adapter_sha256 = ""

    # -- the two threads ----------------------------------------------------------------------------------------------

    def read(self, lines: TextIO) -> None:
        """Queue requests; cancel at once; leave when the parent is gone, even in the middle of an evaluation."""
        for line in lines:
            request = json.loads(line)
            if request["op"] == "cancel":
                self.cancelled.add(request["id"])
                if self.running == request["id"]:
                    self._abort(True)
            else:
                self.requests.put(request)
        os._exit(0)

    def serve(self) -> None:
        """Answer one request after the other, forever."""
        while True:
            request = self.requests.get()
            number = request.pop("id")
            try:
                result = self.run(number, request.pop("op"), request)
            except MoltingError as error:
                self.answer({"id": number, "error": str(error)})
            else:
                self.answer({"id": number, "result": result})
            finally:
                self.running = None
                self.cancelled.discard(number)

    def run(self, number: int, operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "open":
            return self.open(**arguments)
        self._abort(False)
        self.running = number
        if number in self.cancelled:
            self._abort(True)
        if operation == "generate":
            return self.generate(number, **arguments)
        return getattr(self, operation)(**arguments)

    def answer(self, message: dict[str, Any]) -> None:
        self.answers.write(json.dumps(message, ensure_ascii=False) + "\n")
        self.answers.flush()

    def _abort(self, on: bool) -> None:
        self.llama.abort = on
        if self._aside is not None:
            self._aside.abort = on

    # -- operations ---------------------------------------------------------------------------------------------------

    def open(self, path: str, sha256: str, context_tokens: int, threads: int, cache_dir: str) -> dict[str, Any]:
        self.llama = Llama(Path(path), context_tokens=context_tokens, threads=threads or physical_cores())
        self.model_sha256 = sha256
        self.prefixes = PrefixCache(Path(cache_dir))
        return self.info()

    def info(self) -> dict[str, Any]:
        llama = self.llama
        return {
            "architecture": llama.metadata("general.architecture"),
            "chat_template": llama.metadata("tokenizer.chat_template"),
            "bos_token": "" if llama.bos_token is None else llama.piece(llama.bos_token, special=True).decode(),
            "end_tokens": llama.end_tokens(),
            "context_tokens": llama.context_tokens,
            "trained_context_tokens": llama.trained_context_tokens,
            "parameters": llama.parameters,
            "threads": llama.threads,
        }

    def swap(self, adapter: str | None, sha256: str) -> None:
        self.llama.set_adapter(Path(adapter) if adapter else None)
        self.adapter, self.adapter_sha256 = Path(adapter) if adapter else None, sha256

    def tokenize(self, segments: Sequence[Sequence[Any]]) -> list[list[int]]:
        """Token ids, one list a segment; each segment by itself, so that training and inference cut alike."""
        ids = [self.llama.tokenize(text, special=special) for text, special, *_ in segments]
        bos = self.llama.bos_token
        if bos is not None and ids and ids[0][:1] != [bos]:
            ids[0].insert(0, bos)
        return ids

    def generate(
        self,
        number: int,
        *,
        segments: list[list[Any]],
        max_tokens: int,
        sampling: dict[str, Any],
        prefix_segments: int,
        schema: str = "",
        aside: bool = False,
    ) -> dict[str, Any]:
        llama = self._context(aside)
        ids = self.tokenize(segments)
        tokens = [t for segment in ids for t in segment]
        prefix = [t for segment in ids[:prefix_segments] for t in segment]
        started = time.perf_counter()
        evaluated, reason, reply_tokens = Evaluated(), "cancelled", 0
        prompt_done = started
        unsent, sent_at = "", 0.0
        try:
            evaluated = self._fit(llama, tokens, prefix)
            prompt_done = time.perf_counter()
            drawn = llama.generate(max_tokens, Sampling(**sampling), schema)
            while True:
                try:
                    text = next(drawn)
                except StopIteration as end:
                    reason = end.value
                    break
                reply_tokens += 1
                unsent += text
                if unsent and time.perf_counter() - sent_at >= DELTA_INTERVAL_S:
                    self.answer({"id": number, "delta": unsent})
                    unsent, sent_at = "", time.perf_counter()
        except Cancelled:
            prompt_done = time.perf_counter()
        if unsent:
            self.answer({"id": number, "delta": unsent})
        done = Done(
            reason=reason,
            prompt_tokens=len(tokens),
            evaluated_tokens=evaluated.tokens,
            reply_tokens=reply_tokens,
            prompt_s=prompt_done - started,
            decode_s=time.perf_counter() - prompt_done,
            prefix_restored=evaluated.restored,
        )
        return asdict(done)

    def warm(self, segments: list[list[Any]], aside: bool = False) -> None:
        prefix = [t for segment in self.tokenize(segments) for t in segment]
        try:
            self._fit_prefix(self._context(aside), prefix)
        except Cancelled:
            return

    def score(self, segments: list[list[Any]], aside: bool = False) -> list[list[float]]:
        """One list of log-probabilities a target segment."""
        ids = self.tokenize(segments)
        flat = [t for segment in ids for t in segment]
        is_target = [bool(s[2]) for s, segment in zip(segments, ids, strict=True) for _ in segment]
        logprobs = iter(self._context(aside).score(flat, is_target))
        return [[next(logprobs) for _ in segment] for s, segment in zip(segments, ids, strict=True) if s[2]]

    def soft_targets(self, segments: list[list[Any]], k: int, temperatures: list[float]) -> dict[str, Any]:
        """A SoftScore; its arrays travel in base64, a tenth of the size of their digits."""
        ids = self.tokenize(segments)
        flat = [t for segment in ids for t in segment]
        is_target = [bool(s[2]) for s, segment in zip(segments, ids, strict=True) for _ in segment]
        found = self.llama.soft_targets(flat, is_target, k, temperatures)
        labels = [token for token, target in zip(flat, is_target, strict=True) if target]
        return {
            "tokens": [len(segment) for s, segment in zip(segments, ids, strict=True) if s[2]],
            "labels": labels,
            "sizes": [len(self.llama.piece(token)) for token in labels],
            "arrays": {name: base64.b64encode(array.tobytes()).decode() for name, array in found._asdict().items()},
        }

    def token_bytes(self, tokens: list[int]) -> list[str]:
        """The bytes of each token, in base64."""
        return [base64.b64encode(self.llama.piece(token)).decode() for token in tokens]

    def _context(self, aside: bool) -> Llama:
        """The conversation's context, or the small one beside it, made at its first use."""
        if not aside:
            return self.llama
        if self._aside is None:
            self._aside = self.llama.beside(ASIDE_TOKENS)
        return self._aside

    def _fit(self, llama: Llama, tokens: list[int], prefix: list[int]) -> Evaluated:
        before = self._fit_prefix(llama, prefix) if prefix else Evaluated()
        rest = llama.fit(tokens)
        return Evaluated(before.tokens + rest.tokens, before.restored)

    def _fit_prefix(self, llama: Llama, prefix: list[int]) -> Evaluated:
        """Have the prefix in the KV cache: it is there, or was saved, or is evaluated and then saved."""
        if common_prefix(llama.tokens, prefix) == len(prefix):
            return Evaluated()
        adapter_sha256 = self.adapter_sha256 if llama is self.llama else ""
        key = prefix_key(self.model_sha256, adapter_sha256, llama.state_form, prefix)
        saved = self.prefixes.find(key)
        if saved and llama.load_state(saved, prefix):
            return Evaluated(restored=True)
        evaluated = llama.fit(prefix)
        self.prefixes.save(key, llama.save_state)
        return evaluated


def physical_cores() -> int:
    """Cores this process may use; hyper-threads count half, since they slow a memory-bound loop."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    siblings = Path("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list")
    try:
        threads_a_core = len(siblings.read_text().replace("-", ",").split(","))
    except OSError:
        threads_a_core = 1
    return max(1, usable // threads_a_core) if usable > 2 else usable


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--requantise"]:
        requantise(Path(arguments[1]), Path(arguments[2]), arguments[3])
        return 0
    # The answers get a private descriptor; whatever native code prints to stdout goes to the log with stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    keep = quiet(lambda text: print(text, end="", file=sys.stderr, flush=True))
    worker = Worker(answers)
    threading.Thread(target=worker.read, args=(sys.stdin,), daemon=True).start()
    worker.serve()
    del keep
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
