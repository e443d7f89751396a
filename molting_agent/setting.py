"""Each setting of config.toml as a person sees it: its value, its default, what may stand there and what it means."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from memory.errors import UsageError
from molting_agent.config import Config, Value, allowed_values, fields_of, keys_of_config

WORDS_OF_BOOL = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; ``value`` is what counts now, ``meaning`` its documentation."""

    key: str
    value: Value
    default: Value
    allowed: str
    meaning: str

    @property
    def is_changed(self) -> bool:
        return self.value != self.default


def settings(config: Config) -> Iterator[Setting]:
    """All of them, in the order of the file."""
    for key in keys_of_config():
        yield setting(config, key)


def setting(config: Config, key: str) -> Setting:
    """One by its name (``model.name``). Errors: UsageError with all names."""
    if key not in keys_of_config():
        raise UsageError(f"{key}: no such setting; there are: {', '.join(keys_of_config())}")
    section, _, name = key.partition(".")
    field = fields_of(section)[name]
    meaning = (field.description or "").replace("``", "")
    value = getattr(getattr(config, section), name)
    return Setting(key, value, field.default, allowed_values(key), meaning)


def parse_value(key: str, text: str) -> Value:
    """What a person typed, in the type of the setting; ranges are checked where it is written. Errors: UsageError."""
    default: Any = setting(Config(), key).default
    words = text.strip()
    try:
        if isinstance(default, bool):
            return WORDS_OF_BOOL[words.casefold()]
        if isinstance(default, int):
            return int(words)
        if isinstance(default, float):
            return float(words)
    except (ValueError, KeyError):
        raise UsageError(f"{key}: {words!r} is not allowed; must be {allowed_values(key)}") from None
    if isinstance(default, tuple):
        return _texts(key, words)
    return words


def _texts(key: str, words: str) -> tuple[str, ...]:
    """A list as JSON, or separated by commas."""
    if not words.startswith("["):
        return tuple(part.strip() for part in words.split(",") if part.strip())
    try:
        values = json.loads(words)
    except ValueError:
        values = None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UsageError(f'{key}: write a list as ["a", "b"], or a, b')
    return tuple(values)


def shown(value: Value) -> str:
    """A value as it is typed."""
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
