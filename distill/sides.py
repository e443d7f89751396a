"""Examines several sides one after the other, each in the engine it will run in; a resumed judging goes on."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from distill.config import DistillConfig
from distill.evaluate.base_voice import voice_of
from distill.evaluate.cost import shape_of
from distill.evaluate.exam import Exam
from distill.evaluate.facts import load_facts, prepare, sample
from distill.examination import ScoreFile, Scores, examine, items_of
from memory.files import sha256_file
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import ModelFile

CONTEXT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Side:
    """Who is examined: an adapter on ``model``, or (None) the model itself, the base or a student trained whole."""

    name: str
    model: ModelFile
    adapter: Path | None = None


def examine_sides(
    sides: Sequence[Side],
    base: ModelFile,
    exam: Exam,
    config: DistillConfig,
    home: Home,
    file: ScoreFile | None = None,
    *,
    on_side: Callable[[str], None] = lambda _name: None,
    on_item: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Scores], int]:
    """Each side's scores by name, and how many items were scored now.

    What ``file`` holds is not examined again, and it is given every side's scores. The base answers the style
    classifier's prompts first, unless it has.
    Errors: EngineError when a model itself does not run (an adapter that does not gets scores that say so).
    """
    keys = {side.name: _key(side, base) for side in sides} if file else {}
    scores = {name: found for name, key in keys.items() if file and (found := file.get(key)) is not None}
    todo = [side for side in sides if side.name not in scores]
    if not todo:
        return scores, 0
    with ExitStack() as open_engines:
        engine = open_engines.enter_context(_engine(base, home))
        on_side("base")
        voice = voice_of(engine, exam, config, home, on_item)
        facts = prepare(home.models_dir, sample(load_facts(), config.facts_questions))
        running, shape = base, shape_of(base.path)
        for side in sorted(todo, key=lambda side: side.model.path != base.path):
            if side.model.path != running.path:
                open_engines.close()
                engine, running = open_engines.enter_context(_engine(side.model, home)), side.model
                shape = shape_of(side.model.path)
            on_side(side.name)
            scores[side.name] = examine(engine, side.adapter, shape, exam, voice, facts, config, on_item)
            if file:
                file.put(keys[side.name], scores[side.name])
    return {side.name: scores[side.name] for side in sides}, len(todo) * items_of(exam, config)


def _engine(model: ModelFile, home: Home) -> EngineClient:
    return EngineClient(model, home=home, context_tokens=CONTEXT_TOKENS)


def _key(side: Side, base: ModelFile) -> str:
    """The sha256 of what makes this side: its adapter, or its own model; "" is the base."""
    if side.adapter is not None:
        return sha256_file(side.adapter)
    return "" if side.model.path == base.path else side.model.sha256
