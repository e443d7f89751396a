"""Opens writing teachers by their names in a home."""

import threading

from distill.teachers.protocol import Teacher, Traits
from distill.teachers.settings import AnthropicSettings, AnySettings, GgufSettings, LogsSettings, OpenAISettings
from memory.errors import UsageError
from memory.home import Home


def settings_of(known: dict[str, AnySettings], name: str) -> AnySettings:
    """The settings of one teacher. Errors: UsageError that lists those there are."""
    if name not in known:
        raise UsageError(
            f"there is no teacher {name}; there are: {', '.join(sorted(known))} (add [teachers.{name}] to config.toml)"
        )
    return known[name]


def open_teacher(name: str, settings: AnySettings, home: Home, stop: threading.Event) -> Teacher:
    """A teacher ready to be asked. Errors: UsageError (no key), ModelError, EngineError."""
    match settings:
        case LogsSettings():
            from distill.teachers.logs import LogsTeacher

            return LogsTeacher(name)
        case AnthropicSettings():
            from distill.teachers.anthropic_api import AnthropicTeacher

            return AnthropicTeacher(name, settings)
        case OpenAISettings():
            from distill.teachers.openai_api import OpenAITeacher

            return OpenAITeacher(name, settings)
        case GgufSettings():
            from distill.teachers.gguf import GgufTeacher

            return GgufTeacher(name, settings, home, stop)
        case _:
            raise UsageError(
                f"teacher {name} scores replies and writes none: python -m distill signals --teacher {name}"
            )


def traits_of(name: str, settings: AnySettings, home: Home) -> Traits:
    """What an estimate needs to know: no key is asked for and nothing is sent. A local model is loaded for a moment."""
    match settings:
        case AnthropicSettings():
            from distill.teachers import anthropic_api

            return anthropic_api.traits(name, settings)
        case OpenAISettings():
            from distill.teachers import openai_api

            return openai_api.traits(name, settings)
        case _:
            teacher = open_teacher(name, settings, home, threading.Event())
            teacher.close()
            return teacher.traits
