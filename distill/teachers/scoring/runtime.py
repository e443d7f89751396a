"""Models in our own runtime as scoring teachers: any GGUF with its own chat template, and the student's own base."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.registry import Registry
from distill.signals.record import Signal, signal
from distill.teachers.gguf import open_engine
from distill.teachers.protocol import Rejected
from distill.teachers.scoring.memories import all_memories
from distill.teachers.scoring.protocol import UNSPELT, Request, ScoringTraits, form_of, too_long
from distill.teachers.scoring.vocabulary import cut_alike, engine_cut
from distill.teachers.settings import GgufSettings, SelfSettings
from memory.errors import MoltError
from memory.home import Home
from molting_agent.runtime.models import resolve_model
from molting_agent.runtime.protocol import Engine, Segment, SoftScore
from molting_agent.runtime.template import Message, render


class RuntimeTeacher:
    """One engine; one dialogue at a time, all its replies in one evaluation.

    ``view`` makes of a request what this teacher reads. Another vocabulary than the student's: likelihood alone.
    """

    def __init__(
        self,
        engine: Engine,
        student: Engine,
        traits: ScoringTraits,
        view: Callable[[Request], Request] = lambda request: request,
    ) -> None:
        same = cut_alike(engine_cut(engine), engine_cut(student))
        self._k, self._temperatures = form_of(same)
        form = {"k": self._k, "temperatures": list(self._temperatures)}
        self.traits = replace(traits, same_vocabulary=same, identity={**traits.identity, **form})
        self._engine, self._view = engine, view

    def score(self, request: Request) -> list[Signal]:
        """See ``ScoringTeacher.score``. Errors: EngineError."""
        seen = self._view(request)
        info = self._engine.info
        segments = render(
            info.chat_template, seen.messages, end_tokens=info.end_tokens, bos_token=info.bos_token, generate=False
        )
        # What follows the last target is not evaluated.
        segments = segments[: 1 + max(i for i, segment in enumerate(segments) if segment.target)]
        tokens = sum(len(ids) for ids in self._engine.tokenize(segments))
        if tokens > info.context_tokens:
            raise too_long(info.context_tokens)
        score = self._engine.soft_targets(segments, k=self._k, temperatures=self._temperatures)
        return signals_of(score, [segment for segment in segments if segment.target], self._temperatures)

    def close(self) -> None:
        self._engine.close()


def signals_of(score: SoftScore, targets: list[Segment], temperatures: tuple[float, ...]) -> list[Signal]:
    """One signal a message from what was said of its target segments: its words and the token that ends its turn.

    Raises Rejected where the tokens do not spell the words (a vocabulary that changes what it cuts).
    """
    found, stop = [], 0
    parts = zip(targets, score.tokens, strict=True)
    for _message, own in groupby(parts, key=lambda part: part[0].message):
        start, sizes = stop, []
        for segment, count in own:
            sizes.append(_sizes(segment, score.sizes_N[stop : stop + count].astype(np.int64)))
            stop += count
        rows = slice(start, stop)
        found.append(
            signal(
                score.labels_N[rows],
                np.cumsum(np.concatenate(sizes)),
                score.label_logprob_N[rows],
                score.ids_NK[rows],
                score.logprobs_NK[rows],
                score.log_partition_NB[rows],
                temperatures,
            )
        )
    return found


def _sizes(segment: Segment, sizes_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bytes of the reply behind each token: markup has none of them."""
    if segment.special:
        return np.zeros_like(sizes_N)
    spare = int(sizes_N.sum()) - len(segment.text.encode("utf-8", "replace"))
    if spare == 1 and sizes_N[0]:
        sizes_N[0] -= 1  # the space that some vocabularies put before the first word
    elif spare:
        raise Rejected(UNSPELT)
    return sizes_N


def open_gguf(name: str, settings: GgufSettings, home: Home, student: Engine) -> RuntimeTeacher:
    """A GGUF model, with its adapter where it has one. Errors: ModelError, EngineError, UsageError."""
    model = resolve_model(home, settings.model)
    adapter = Path(settings.adapter).expanduser() if settings.adapter else None
    engine = open_engine(name, model, adapter, home, settings.context_tokens, settings.threads)
    try:
        identity = {"kind": "gguf", "sha256": model.sha256, "adapter_sha256": engine.info.adapter_sha256}
        return RuntimeTeacher(engine, student, ScoringTraits(name, "gguf", model.name, identity=identity))
    except BaseException:
        engine.close()
        raise


def open_self(name: str, settings: SelfSettings, home: Home, student: Engine, model_name: str) -> RuntimeTeacher:
    """The student's own base, or a molt of it, that reads all memories before each dialogue.

    Errors: ModelError, EngineError, MoltError where the molt is missing, damaged or of another base.
    """
    model = resolve_model(home, model_name)
    adapter = _molt(home, settings.adapter, model.source_sha256)
    memories, ids = all_memories(home) if settings.memories else ("", ())

    def view(request: Request) -> Request:
        system, *rest = request.messages
        whole = Message("system", f"{system.content}\n\n{memories}" if memories else system.content)
        return replace(request, messages=(whole, *rest))

    engine = open_engine(name, model, adapter, home, settings.context_tokens, settings.threads)
    try:
        identity = {"kind": "self", "sha256": model.sha256, "adapter_sha256": engine.info.adapter_sha256}
        identity["memories_sha256"] = hashlib.sha256(memories.encode()).hexdigest()
        traits = ScoringTraits(name, "self", model.name, identity=identity, context_ids=ids)
        return RuntimeTeacher(engine, student, traits, view)
    except BaseException:
        engine.close()
        raise


def _molt(home: Home, wish: str | int, base_sha256: str) -> Path | None:
    """The adapter file of the molt that teaches, verified."""
    if not wish:
        return None
    registry = Registry(home.molts_dir)
    if wish == "champion":
        champion, why = registry.load_champion(base_sha256)
        if champion is None:
            raise MoltError(f"{why or 'no molt speaks yet for this base'}; retrain first, or teach without an adapter")
        return champion.adapter
    molt = registry.get(int(wish))
    if molt.base_sha256 != base_sha256:
        raise MoltError(f"molt {wish} was trained for another base; choose another: molt molts ls")
    molt.verify()
    return molt.adapter
