"""One run of ``python -m distill signals``: the dialogues of a home, scored by one teacher into its store."""

import threading
from collections.abc import Callable
from typing import Any

from distill.collect import collect
from distill.config import DistillConfig
from distill.signals.calibration import calibration_of
from distill.signals.fill import Filled, fill, missing, request_of, stored
from distill.signals.store import SignalStore, signals_dir
from distill.teachers.scoring.opening import open_scoring
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import resolve_model

# The student only cuts text into tokens here.
STUDENT_CONTEXT_TOKENS = 512


def score_home(
    home: Home,
    name: str,
    config: DistillConfig,
    *,
    model_name: str = "",
    dry_run: bool = False,
    stop: threading.Event,
    on_progress: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """Score what a retraining with this config would learn from; returns plain values for a report.

    A dry run writes nothing. Errors: TrainingError, UsageError, ModelError, EngineError, MoltError, HomeError.
    """
    model = resolve_model(home, model_name)
    with EngineClient(model, home=home, context_tokens=STUDENT_CONTEXT_TOKENS) as student:
        on_progress("reading conversations")
        collected = collect(home, student, config)
        teacher = open_scoring(name, home, student, model=model.name)
    traits = teacher.traits
    try:
        requests = [request_of(part, collected.system) for part in collected.parts]
        store = SignalStore(signals_dir(home) / name)

        def show(filled: Filled) -> None:
            done = filled.known + filled.new
            on_progress(f"{name}  {done:,} of {filled.replies:,} replies, {filled.tokens:,} tokens")

        if dry_run:
            _requests, filled = missing(store, traits, requests)
        else:
            with store.writing():
                filled = fill(store, teacher, requests, stop=stop, on_progress=show)
    finally:
        teacher.close()
    found = [one for request in requests for one in stored(store, traits, request) if one is not None]
    scored = [one for one in found if one.k]
    calibration = calibration_of(scored) if scored else None
    return {
        "teacher": name,
        "kind": traits.kind,
        "model": traits.model,
        "same_vocabulary": traits.same_vocabulary,
        "temperatures": traits.identity["temperatures"],
        "dry_run": dry_run,
        "replies": filled.replies,
        "known": filled.known,
        "new": filled.new,
        "new_tokens": filled.tokens,
        "left": filled.left,
        "left_out": dict(filled.left_out.most_common()),
        "stopped": filled.stopped,
        "store": str(store.folder),
        "stored_tokens": store.tokens,
        "bytes_a_token": store.size_bytes / store.tokens if store.tokens else 0.0,
        "torn_bytes": store.set_aside_bytes,
        "calibration": calibration.to_dict() if calibration else None,
        "calibration_text": calibration.text() if calibration else "",
    }
