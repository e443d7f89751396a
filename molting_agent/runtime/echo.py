"""An engine without a model, for tests and dry runs: answers with scripted words, in the protocol of the real one."""

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from memory.errors import EngineError
from molting_agent.runtime.models import ModelFile
from molting_agent.runtime.protocol import Delta, Done, EngineInfo, Sampling, Score, Segment, SoftScore
from molting_agent.runtime.template import CHATML


class EchoEngine:
    """Streams ``reply`` word by word (by default the last message's words), one token a word.

    ``requests`` keeps every rendered prompt (``asides`` those beside the conversation), so that a test can see what a
    model would have read. ``fail_next`` makes
    the next generate die in the middle, as a crashed worker does.
    """

    def __init__(
        self,
        reply: str | Callable[[str], str] = "",
        *,
        delay_s: float = 0.0,
        context_tokens: int = 4096,
        model_sha256: str = "e" * 64,
    ) -> None:
        self.reply = reply
        self.delay_s = delay_s
        self.requests: list[list[Segment]] = []
        self.asides: list[list[Segment]] = []
        self.fail_next = False
        self.closed = False
        self.adapter: Path | None = None
        self.moved_to: ModelFile | None = None
        self._cancelled = False
        self._context_tokens = context_tokens
        self._model_sha256 = model_sha256
        self._seen = 0

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(
            model_name="echo",
            model_sha256=self._model_sha256,
            architecture="echo",
            chat_template=CHATML,
            bos_token="",
            end_tokens=("<|im_end|>",),
            context_tokens=self._context_tokens,
            trained_context_tokens=self._context_tokens,
            parameters=0,
            file_bytes=0,
            threads=1,
            adapter=self.adapter,
        )

    def generate(
        self,
        segments: Sequence[Segment],
        *,
        max_tokens: int = 512,
        sampling: Sampling | None = None,
        prefix_segments: int = 0,
        schema: str = "",
        aside: bool = False,
    ) -> Iterator[Delta | Done]:
        (self.asides if aside else self.requests).append(list(segments))
        self._cancelled = False
        prompt_tokens = sum(len(ids) for ids in self.tokenize(segments))
        if prompt_tokens >= self._context_tokens:
            raise EngineError(f"a prompt of {prompt_tokens} tokens does not fit into the window")
        question = next((s.text for s in reversed(segments) if not s.special), "")
        text = self.reply(question) if callable(self.reply) else self.reply or question
        words = text.split(" ")
        reason, said = "stop", 0
        for i, word in enumerate(words):
            if self._cancelled:
                reason = "cancelled"
                break
            if said == max_tokens:
                reason = "length"
                break
            if self.fail_next and i == len(words) // 2:
                self.fail_next = False
                raise EngineError("the inference process died (signal 9)")
            time.sleep(self.delay_s)
            yield Delta(word if i == 0 else f" {word}")
            said += 1
        evaluated = max(1, prompt_tokens - self._seen)
        self._seen = prompt_tokens
        yield Done(reason, prompt_tokens, evaluated, said, 0.001, max(self.delay_s * said, 0.001))

    def warm(self, segments: Sequence[Segment], *, aside: bool = False) -> None:
        self._seen = sum(len(ids) for ids in self.tokenize(segments))

    def cancel(self) -> None:
        self._cancelled = True

    def score(self, segments: Sequence[Segment], *, aside: bool = False) -> Score:
        """One nat a token, whatever the text."""
        targets = [s for s in segments if s.target]
        logprobs = tuple(tuple(-1.0 for _ in ids) for ids in self.tokenize(targets))
        return Score(logprobs, tuple(len(s.text.encode()) for s in targets))

    def soft_targets(self, segments: Sequence[Segment], *, k: int, temperatures: Sequence[float] = ()) -> SoftScore:
        """One nat a label; k + 1 other tokens share the rest of the probability, all but one of them in the top-k."""
        import numpy as np

        targets = [s for s in segments if s.target]
        counts = [len(ids) for ids in self.tokenize(targets)]
        labels_N = np.array([label for ids in self.tokenize(targets) for label in ids], np.uint32)
        # A word with the space before it; of markup nothing is spelt.
        pieces = [piece for s in targets for piece in re.findall(r"\s*\S+(?:\s+$)?", s.text) if not s.special]
        sizes = iter(len(piece.encode()) for piece in pieces)
        marks = [s.special for s, count in zip(targets, counts, strict=True) for _ in range(count)]
        other = math.log((1 - math.exp(-1)) / (k + 1))
        partitions = [math.log(math.exp(-1 / t) + (k + 1) * math.exp(other / t)) for t in temperatures]
        rows = len(labels_N)
        return SoftScore(
            tokens=tuple(counts),
            labels_N=labels_N,
            sizes_N=np.array([0 if special else next(sizes) for special in marks], np.uint16),
            label_logprob_N=np.full(rows, -1, np.float32),
            ids_NK=labels_N[:, None] + np.arange(k, dtype=np.uint32),
            logprobs_NK=np.tile(np.array([-1.0, *[other] * k][:k], np.float32), (rows, 1)),
            log_partition_NB=np.tile(np.array(partitions, np.float32), (rows, 1)),
        )

    def token_bytes(self, tokens: Sequence[int]) -> list[bytes]:
        """A token is the length of its word."""
        return [b"x" * token for token in tokens]

    def tokenize(self, segments: Sequence[Segment]) -> list[list[int]]:
        return [[len(word) for word in s.text.split()] for s in segments]

    def swap(self, adapter: Path | None) -> None:
        self.adapter = adapter

    def move(self, model: ModelFile, adapter: Path | None) -> None:
        self.moved_to, self.adapter = model, adapter

    def close(self) -> None:
        self.closed = True
