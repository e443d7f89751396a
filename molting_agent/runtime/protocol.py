"""What an engine is: the value types and the interface that the worker's client and the echo engine share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the chat opens without numpy
    import numpy as np

    from molting_agent.runtime.models import ModelFile


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a rendered prompt.

    ``special`` text is template markup, where strings such as ``<|im_end|>`` become control tokens; any other text is
    content, where they never do, so that nobody's words can forge a turn. Each segment is tokenised by itself.
    ``target`` marks what a model is scored or trained on; ``message`` is the index of the message it belongs to.
    """

    text: str
    special: bool = False
    target: bool = False
    message: int = -1


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn; temperature 0 takes the most probable one."""

    temperature: float = 0.7
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.05
    repeat_penalty: float = 1.1
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """New text of a reply; never half a UTF-8 character."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a reply; ``reason``: ``stop`` (he finished), ``length`` (max_tokens, full window) or ``cancelled``."""

    reason: str
    prompt_tokens: int
    evaluated_tokens: int
    reply_tokens: int
    prompt_s: float
    decode_s: float
    prefix_restored: bool = False

    @property
    def tokens_per_s(self) -> float:
        """Decoding speed; 0 when nothing was decoded."""
        return self.reply_tokens / self.decode_s if self.decode_s else 0.0


@dataclass(frozen=True, slots=True)
class Score:
    """Log-probabilities (nats) of the target segments: one list a segment, one value a token, and its UTF-8 length."""

    token_logprobs: tuple[tuple[float, ...], ...]
    bytes: tuple[int, ...]

    @property
    def nats(self) -> tuple[float, ...]:
        """Negative log-likelihood of each target segment."""
        return tuple(-sum(values) for values in self.token_logprobs)


@dataclass(frozen=True, slots=True, eq=False)
class SoftScore:
    """What a model says at temperature 1 of every token of the target segments, one after the other: N in all.

    ``tokens`` counts those of each segment. ``labels_N`` (uint32) are the tokens that stand there, ``sizes_N`` (uint16)
    their bytes (control tokens have none), ``label_logprob_N`` (float32, nats) how likely each is. ``ids_NK`` (uint32)
    are the K most probable tokens, ``logprobs_NK`` (float32) falling. ``log_partition_NB`` (float32) is
    log sum_j p(j)^b, one column for each b that was asked for.
    """

    tokens: tuple[int, ...]
    labels_N: "np.ndarray"
    sizes_N: "np.ndarray"
    label_logprob_N: "np.ndarray"
    ids_NK: "np.ndarray"
    logprobs_NK: "np.ndarray"
    log_partition_NB: "np.ndarray"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine knows of its model; ``model_sha256``, of the file as published, names the base of its molts."""

    model_name: str
    model_sha256: str
    architecture: str
    chat_template: str
    bos_token: str
    end_tokens: tuple[str, ...]
    context_tokens: int
    trained_context_tokens: int
    parameters: int
    file_bytes: int
    threads: int
    adapter: Path | None = None
    adapter_sha256: str = ""
    extra: dict[str, str] = field(default_factory=dict)


class Engine(Protocol):
    """One model in one process, one request at a time; ``cancel`` may come from any thread. Errors: EngineError."""

    @property
    def info(self) -> EngineInfo: ...

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
        """Stream a reply to the rendered prompt; the last item is always a Done.

        The first ``prefix_segments`` segments are fixed for the session: their KV state is saved to disk and restored.
        ``schema``, a JSON schema as text, binds what is drawn to JSON that fits it. ``aside`` evaluates in a second,
        small context of the base model alone, so that the conversation's stays as it is.
        """
        ...

    def warm(self, segments: Sequence[Segment], *, aside: bool = False) -> None:
        """Evaluate (or restore) the fixed prefix ahead of the first question."""
        ...

    def cancel(self) -> None:
        """End the running generate or warm within 100 ms, even while it evaluates a prompt."""
        ...

    def score(self, segments: Sequence[Segment], *, aside: bool = False) -> Score:
        """Log-probabilities of the target segments, each token given all that stands before it."""
        ...

    def soft_targets(self, segments: Sequence[Segment], *, k: int, temperatures: Sequence[float] = ()) -> SoftScore:
        """``score`` with the ``k`` most probable tokens beside each label, and log sum_j p(j)^(1/T) at temperatures.

        k = 0 gives the labels alone. Errors: EngineError where k is more than the vocabulary.
        """
        ...

    def token_bytes(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes that each token spells; control tokens have none."""
        ...

    def tokenize(self, segments: Sequence[Segment]) -> list[list[int]]:
        """Token ids, one list a segment; the beginning-of-text token is in the first where the model wants one."""
        ...

    def swap(self, adapter: Path | None) -> None:
        """Set or remove the LoRA adapter; what was evaluated under the old one is forgotten."""
        ...

    def move(self, model: "ModelFile", adapter: Path | None) -> None:
        """Go on from another model file with another adapter; where that cannot be loaded, the old one stays."""
        ...

    def close(self) -> None:
        """End the process; safe to call twice."""
        ...
