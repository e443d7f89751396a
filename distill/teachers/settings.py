"""The teachers of a home: the ``[teachers.NAME]`` tables of config.toml as checked values, and never a key among them.

    [teachers.opus]
    kind = "anthropic"                 # or "openai" (any server that speaks its API), or "gguf" (a local model)
    model = "claude-opus-4-5"
    key_env = "ANTHROPIC_API_KEY"      # the name of the environment variable that holds the key

Writing teachers (``python -m distill teach``) are logs, anthropic, openai, gguf; scoring ones (``... signals``) gguf,
hf, self, and openai where ``scores = true``. Four need no table: ``logs`` (the replies that were logged), ``embedded``
(the model that came with the installation), ``self`` (the student's base behind all memories), ``anchor`` (it alone).
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from memory.errors import UsageError
from memory.home import Home

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
KEY_NAME = re.compile(r"(?i)(^|_)(api)?_?(key|token|secret|password|authorization)$")
KEY_VALUE = re.compile(r"(?i)^(bearer\s|(sk|pk|gsk|xai|hf|key)[-_])\S*$|^[A-Za-z0-9+/=_-]{40,}$")
NO_KEYS = ("model", "base_url", "adapter")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
EnvName = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]{0,63}$")]


class Settings(BaseModel):
    """A table of one teacher; unknown keys are refused, since a misspelt setting would be silently without effect."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class LogsSettings(Settings):
    """The replies that stand in the conversations already; costs nothing and asks nobody."""

    kind: Literal["logs"] = "logs"
    """Where the replies come from."""


class WritingSettings(Settings):
    """What every teacher that writes new replies has."""

    rationale: bool = True
    """Ask for the reasons beside the reply; without it the teacher is asked as the person would ask."""
    max_tokens: int = Field(default=1024, ge=16, le=128_000)
    """An answer, rationale included, ends here at the latest; one that was cut is kept but never learnt from."""
    context_tokens: int = Field(default=8192, ge=256, le=2_000_000)
    """Room for identity, history, question and answer; of a longer history the oldest part is left out."""


class RemoteSettings(WritingSettings):
    """What teachers behind a network have in common; nothing private is ever sent to one."""

    timeout_s: float = Field(default=180.0, gt=0, le=3600)
    """A request that is silent for so many seconds is given up and tried again."""
    retries: int = Field(default=6, ge=0, le=20)
    """How often a request is tried again after 429, 5xx or silence, each time after a longer wait."""
    concurrency: int = Field(default=4, ge=1, le=64)
    """Requests under way at once."""
    usd_per_million_in: float = Field(default=0.0, ge=0)
    """Price of a million tokens read, in dollars, for the estimate; 0 is unknown."""
    usd_per_million_out: float = Field(default=0.0, ge=0)
    """Price of a million tokens written, in dollars, for the estimate; 0 is unknown."""


class AnthropicSettings(RemoteSettings):
    """The Anthropic API."""

    kind: Literal["anthropic"]
    """Who is asked."""
    model: str = Field(min_length=1)
    """Name of the model, as the API knows it."""
    key_env: EnvName = "ANTHROPIC_API_KEY"
    """Name of the environment variable that holds the key."""
    base_url: str = "https://api.anthropic.com"
    """Where the API is."""
    thinking: Literal["off", "adaptive", "enabled"] = "off"
    """Let the model think first, and take what it shows of that as the rationale, instead of asking for one."""
    thinking_tokens: int = Field(default=4096, ge=1024, le=128_000)
    """With ``thinking = "enabled"``: at most so many tokens of thought, on top of ``max_tokens``."""


class OpenAISettings(RemoteSettings):
    """Any server that speaks the chat completions API of OpenAI (vLLM, llama-server, Ollama, other providers)."""

    kind: Literal["openai"]
    """Who is asked."""
    model: str = Field(min_length=1)
    """Name of the model, as the server knows it."""
    key_env: EnvName | Literal[""] = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key; empty for a server that wants none."""
    base_url: str = "https://api.openai.com/v1"
    """Where the API is, mostly ending in ``/v1``."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """Sent where it is set; some models refuse it."""
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The name under which ``max_tokens`` is sent: OpenAI's reasoning models want ``max_completion_tokens``."""
    scores: bool = False
    """It is a vLLM server: ``/tokenize`` and ``prompt_logprobs`` let it score given replies."""
    score_top_k: int = Field(default=20, ge=1, le=1024)
    """Tokens of which it gives the probability at each place; vLLM allows 20 unless started with ``--max-logprobs``."""


class GgufSettings(WritingSettings):
    """A local GGUF model in our own runtime: nothing leaves the machine."""

    kind: Literal["gguf"]
    """Who is asked."""
    model: str = ""
    """A name of ``molt models ls`` or the path of a GGUF file; empty is the embedded one."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """How freely he draws his words; 0 always takes the most probable one."""
    seed: int = Field(default=17, ge=0)
    """Seed of the draws."""
    threads: int = Field(default=0, ge=0, le=1024)
    """Threads that compute; 0 takes one for each core."""
    adapter: str = ""
    """Path of a LoRA adapter as GGUF, such as a molt's: a teacher that was first tuned on the logs."""


class HfSettings(Settings):
    """A transformers checkpoint in torch; it only scores."""

    kind: Literal["hf"]
    """Who is asked."""
    model: str = Field(min_length=1)
    """Path of the checkpoint's folder."""
    adapter: str = ""
    """Path of a PEFT adapter's folder: a teacher that was first tuned on the logs."""
    context_tokens: int = Field(default=8192, ge=256, le=2_000_000)
    """A longer dialogue is left out."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """Where it computes; ``auto`` takes a CUDA device where there is one."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Number type of the weights."""


class SelfSettings(Settings):
    """The student's own base with who he is and all of MEMORY.md before each dialogue; it only scores."""

    kind: Literal["self"] = "self"
    """Who is asked."""
    adapter: Literal["", "champion"] | Annotated[int, Field(ge=1)] = ""
    """The molt that teaches: ``champion``, or a number; empty is the bare base."""
    memories: bool = True
    """All entries of MEMORY.md that are labelled normal stand behind who he is."""
    context_tokens: int = Field(default=8192, ge=256, le=2_000_000)
    """Identity, memories and dialogue must fit into it; a longer dialogue is left out."""
    threads: int = Field(default=0, ge=0, le=1024)
    """Threads that compute; 0 takes one for each core."""


Remote = AnthropicSettings | OpenAISettings
AnySettings = LogsSettings | AnthropicSettings | OpenAISettings | GgufSettings | HfSettings | SelfSettings

ANCHOR = "anchor"
"""Who the student was before: what it says of the replies holds a training against forgetting."""
BUILT_IN: dict[str, LogsSettings | GgufSettings | SelfSettings] = {
    "logs": LogsSettings(),
    # A model of 135 million parameters cannot keep to a form, so it is not asked for a rationale.
    "embedded": GgufSettings(kind="gguf", rationale=False, max_tokens=256, context_tokens=4096),
    "self": SelfSettings(),
    ANCHOR: SelfSettings(memories=False),
}


def _refuse_keys(tables: Any) -> Any:
    """Stop at a key in the file, before anything could print it."""
    if not isinstance(tables, dict):
        return tables
    for name, table in tables.items():
        if not NAME.fullmatch(str(name)):
            raise PydanticCustomError("name", "a teacher's name is made of a-z, 0-9, - and _ (at most 40)")
        if name in BUILT_IN:
            taken = ", ".join(BUILT_IN)
            raise PydanticCustomError("name", f"the names {taken} are taken: choose another for this teacher")
        for field, value in table.items() if isinstance(table, dict) else ():
            is_value = isinstance(value, str) and field not in NO_KEYS and KEY_VALUE.match(value)
            if KEY_NAME.search(str(field)) or is_value:
                raise PydanticCustomError(
                    "key",
                    "a key must not stand in this file: take it out, put it into an environment variable and name "
                    'that one, such as key_env = "ANTHROPIC_API_KEY"',
                )
        _check_url(table)
    return tables


def _check_url(table: Any) -> None:
    url = table.get("base_url") if isinstance(table, dict) else None
    if not isinstance(url, str):
        return
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https"):
        raise PydanticCustomError("url", "base_url must begin with https:// or http:// and name a host")
    if parts.username or parts.password or parts.query:
        raise PydanticCustomError("url", "base_url must hold no user, password or query: keys come from key_env alone")
    if parts.scheme == "http" and host not in LOOPBACK and table.get("key_env") != "":
        raise PydanticCustomError("url", 'base_url is not encrypted: use https, or key_env = "" if no key is needed')


Teachers = Annotated[dict[str, Annotated[AnySettings, Field(discriminator="kind")]], BeforeValidator(_refuse_keys)]


class _Tables(BaseModel):
    """The one part of config.toml that is read here."""

    model_config = ConfigDict(frozen=True)
    teachers: Teachers = {}

    @model_validator(mode="before")
    @classmethod
    def _only_teachers(cls, values: Any) -> Any:
        return {"teachers": values["teachers"]} if isinstance(values, dict) and "teachers" in values else {}


def parse_teachers(values: Mapping[str, Any]) -> dict[str, AnySettings]:
    """The ``teachers`` tables of a whole config.toml. Raises pydantic's ValidationError; see ``explain``."""
    return _Tables.model_validate(values).teachers


def explain(error: Mapping[str, Any]) -> tuple[list[str], str]:
    """Of pydantic's error in ``teachers``: the keys that lead to the setting, and what is wrong, without its value."""
    keys = [str(part) for part in error["loc"]]
    if len(keys) > 2:
        del keys[2]  # the kind, by which pydantic chose the class
    kinds = ", ".join(("anthropic", "openai", "gguf", "hf", "self"))
    match error["type"]:
        case "extra_forbidden":
            return keys, "no such setting of this kind of teacher; see distill/teachers/settings.py"
        case "union_tag_not_found" | "union_tag_invalid":
            return keys, f"kind must be one of: {kinds}"
        case "missing":
            return keys, "is missing; add it"
        case "string_pattern_mismatch":
            return keys, "is not allowed; must be the NAME of an environment variable, in capitals"
    return keys, str(error["msg"][:1].lower() + error["msg"][1:])


def read_teachers(home: Home) -> dict[str, AnySettings]:
    """All teachers of a home by name, the built-in ones among them. Errors: UsageError that names the setting."""
    path = home.config_file
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        found = parse_teachers(values)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); mend it") from None
    except ValidationError as error:
        keys, reason = explain(error.errors(include_input=False)[0])
        raise UsageError(f"{path}: {'.'.join(keys)}: {reason}") from None
    return {**BUILT_IN, **found}
