"""Opens scoring teachers by their names in a home."""

from distill.teachers.opening import settings_of
from distill.teachers.scoring.protocol import ScoringTeacher
from distill.teachers.settings import ANCHOR, GgufSettings, HfSettings, OpenAISettings, SelfSettings, read_teachers
from memory.errors import UsageError
from memory.home import Home
from molting_agent.runtime.protocol import Engine

__all__ = ["ANCHOR", "open_scoring"]


def open_scoring(name: str, home: Home, student: Engine, *, model: str = "") -> ScoringTeacher:
    """A teacher ready to score for this student; ``model`` is the student's base, which ``self`` loads.

    Errors: UsageError (no such teacher, no key, it only writes), ModelError, EngineError, MoltError.
    """
    settings = settings_of(read_teachers(home), name)
    match settings:
        case GgufSettings():
            from distill.teachers.scoring.runtime import open_gguf

            return open_gguf(name, settings, home, student)
        case SelfSettings():
            from distill.teachers.scoring.runtime import open_self

            return open_self(name, settings, home, student, model)
        case HfSettings():
            from distill.teachers.scoring.hf import HfTeacher

            return HfTeacher(name, settings, student)
        case OpenAISettings(scores=True):
            from distill.teachers.scoring.vllm import VllmTeacher

            return VllmTeacher(name, settings, student)
        case OpenAISettings():
            raise UsageError(f"teacher {name} does not score: set scores = true in its table if it is a vLLM server")
        case _:
            raise UsageError(f"teacher {name} writes replies and scores none: python -m distill teach --teacher {name}")
