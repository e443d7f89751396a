"""The signals of a run: what its teacher and its anchor say of every example, scored before training, read by it."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from distill.config import DistillConfig
from distill.dataset import Example
from distill.dialogue import Dialogue
from distill.reporter import Reporter, Stopped
from distill.signals.calibration import calibration_of
from distill.signals.fill import Filled, fill, request_of, stored
from distill.signals.record import Signal
from distill.signals.store import SignalStore, signals_dir
from distill.state import RunState
from distill.teachers.scoring.opening import ANCHOR, open_scoring
from distill.teachers.scoring.protocol import key_of
from memory.errors import TrainingError
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import ModelFile
from molting_agent.runtime.protocol import Engine

if TYPE_CHECKING:
    import torch

    from distill.losses.byte_alignment import Alignment
    from distill.losses.soft_targets import SoftTargets
    from distill.row_signals import ExampleSignals

CONTEXT_TOKENS = 4096


def score_run(
    state: RunState, dialogues: Sequence[Dialogue], home: Home, model: ModelFile, reporter: Reporter
) -> RunState:
    """The state with the keys of all signals of its examples; what is not in the store yet is scored.

    ``dialogues`` are the examples in words, one for one. Errors: Stopped, TrainingError.
    """
    config = state.config
    with EngineClient(model, home=home, context_tokens=CONTEXT_TOKENS) as engine:
        if config.teacher:
            keys, scored = _score(config.teacher, state.system, dialogues, home, model, engine, reporter)
            if not scored["same_vocabulary"]:
                scored["label_sizes"] = [_label_sizes(example, engine) for example in state.examples]
            _check_weights(config, scored)
            state = replace(state, signal_keys=keys, scored={**state.scored, "teacher": scored})
        if config.anchor_weight:
            keys, scored = _score(ANCHOR, config.short_system, dialogues, home, model, engine, reporter)
            state = replace(state, anchor_keys=keys, scored={**state.scored, "anchor": scored})
    return state


def _check_weights(config: DistillConfig, scored: Mapping[str, Any]) -> None:
    """A teacher must be able to give what the recipe asks of it. Errors: TrainingError."""
    if scored["same_vocabulary"] and not config.soft_weight:
        raise TrainingError(f"{config.teacher} has the student's vocabulary: set soft_weight, not likelihood_weight")
    if not scored["same_vocabulary"] and not config.likelihood_weight:
        raise TrainingError(
            f"{config.teacher} has another vocabulary than the student: set likelihood_weight (recipe cross)"
        )


def _score(
    name: str,
    system: str,
    dialogues: Sequence[Dialogue],
    home: Home,
    model: ModelFile,
    engine: Engine,
    reporter: Reporter,
) -> tuple[tuple[tuple[str, ...], ...], dict[str, Any]]:
    """The keys of each dialogue's signals ("" where the teacher cannot score one), and what to report."""
    stop = threading.Event()
    teacher = open_scoring(name, home, engine, model=model.name)
    store = SignalStore(signals_dir(home) / name)
    requests = [request_of(dialogue, system) for dialogue in dialogues]

    def on_progress(filled: Filled) -> None:
        if reporter.stopping:
            stop.set()
        done = filled.known + filled.new
        message = f"{name} scores reply {done:,} of {filled.replies:,}"
        reporter.step((), step=done, steps=filled.replies, message=message)

    try:
        reporter.phase("collecting", f"{name} scores the replies")
        with store.writing():
            filled = fill(store, teacher, requests, stop=stop, on_progress=on_progress)
        if filled.stopped:
            raise Stopped
        keys = []
        signals: list[Signal] = []
        for request in requests:
            found = stored(store, teacher.traits, request)
            signals += [signal for signal in found if signal is not None]
            keys.append(
                tuple(
                    key_of(teacher.traits, request.messages, place) if signal is not None else ""
                    for place, signal in zip(request.targets, found, strict=True)
                )
            )
    finally:
        teacher.close()
    if not signals:
        why = next(iter(filled.left_out), "no reason given")
        raise TrainingError(f"{name} scored none of the replies ({why}); choose another teacher")
    report = {
        "teacher": name,
        "model": teacher.traits.model,
        "same_vocabulary": teacher.traits.same_vocabulary,
        "replies": filled.replies,
        "known": filled.known,
        "new": filled.new,
        "left_out": dict(filled.left_out),
        "calibration": calibration_of(signals).to_dict() if teacher.traits.same_vocabulary else None,
    }
    return tuple(keys), report


def _label_sizes(example: Example, engine: Engine) -> list[int]:
    """Bytes of each target token."""
    return [len(spelt) for spelt in engine.token_bytes([t for reply in _replies(example) for t in reply])]


def _replies(example: Example) -> list[list[int]]:
    """The target tokens of each reply: what stands between two of them is no target."""
    marked = zip(example.tokens, example.is_target, strict=True)
    return [
        [token for token, _is in group] for is_target, group in groupby(marked, key=lambda item: item[1]) if is_target
    ]


def signals_of_run(state: RunState, home: Home) -> Mapping[int, "ExampleSignals"]:
    """What the trainer reads: the signals of each example of the run, by its place.

    Errors: TrainingError where the store lost what the run was planned with, or has the replies in other tokens.
    """
    from distill.row_signals import ExampleSignals

    scored = state.scored.get("teacher", {})
    teacher = _Reader(home, state.config.teacher) if state.signal_keys and state.config.teacher else None
    anchor = _Reader(home, ANCHOR) if state.anchor_keys and state.config.anchor_weight else None
    found: dict[int, ExampleSignals] = {}
    for place, example in enumerate(state.examples):
        soft = pieces = None
        if teacher is not None and scored["same_vocabulary"]:
            soft = teacher.soft(state.signal_keys[place], example)
        elif teacher is not None:
            pieces = teacher.pieces(state.signal_keys[place], example, scored["label_sizes"][place])
        found[place] = ExampleSignals(
            labels=sum(example.is_target),
            is_rationale=example.task == "explain",
            soft=soft,
            anchor=anchor.soft(state.anchor_keys[place], example) if anchor is not None else None,
            pieces=pieces,
        )
    return found


class _Reader:
    """One teacher's store, read by key."""

    def __init__(self, home: Home, name: str) -> None:
        self.name = name
        self.store = SignalStore(signals_dir(home) / name)

    def signals(self, keys: Sequence[str]) -> list[Signal] | None:
        """One a reply; None where the teacher could not score all of the example."""
        if not keys or not all(keys):
            return None
        found = [self.store.get(key) for key in keys]
        if any(signal is None for signal in found):
            raise TrainingError(
                f"signals of {self.name} that this retraining was planned with are gone (forgotten?); "
                "start anew: molt retrain --fresh"
            )
        return [signal for signal in found if signal is not None]

    def soft(self, keys: Sequence[str], example: Example) -> "SoftTargets | None":
        from distill.signals.tensors import labels_of, soft_targets_of

        signals = self.signals(keys)
        if signals is None:
            return None
        labels = [token for reply in _replies(example) for token in reply]
        if labels_of(signals).tolist() != labels:
            raise TrainingError(
                f"{self.name} cuts a reply of {example.conversation} into other tokens than the student; "
                "it cannot give soft targets: use the recipe cross"
            )
        return soft_targets_of(signals)

    def pieces(
        self, keys: Sequence[str], example: Example, sizes: Sequence[int]
    ) -> "tuple[tuple[Alignment, torch.Tensor], ...] | None":
        import torch

        from distill.losses.byte_alignment import align

        signals = self.signals(keys)
        if signals is None:
            return None
        found, start = [], 0
        for signal, reply in zip(signals, _replies(example), strict=True):
            ends, end = [], 0
            for size in sizes[start : start + len(reply)]:
                end += size
                ends.append(end)
            start += len(reply)
            found.append((align(signal.ends_N.tolist(), ends), torch.from_numpy(signal.label_logprob_N.copy())))
        return tuple(found)
