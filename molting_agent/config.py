"""The settings of one home: ``config.toml`` read into checked values, and single values written back in place."""

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.fields import FieldInfo

from memory.errors import HomeError, UsageError
from memory.files import file_lock, write_atomic
from memory.home import Home

Rules = tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)], ...]
Value = str | int | float | bool | tuple[str, ...]


class Section(BaseModel):
    """A table of config.toml; unknown keys are refused, since a misspelt setting would be silently without effect."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ModelSettings(Section):
    """``[model]``: who talks, and how the next word is drawn."""

    name: str = ""
    """A name of ``molt models ls`` or the path of a GGUF file; empty is the embedded starter model."""
    context_tokens: int = Field(default=4096, ge=512, le=1_048_576)
    """Size of the window: identity, memories, history and reply together; never more than the model was made for."""
    threads: int = Field(default=0, ge=0, le=1024)
    """Threads that compute; 0 takes one for each core."""
    shares_cores: bool = False
    """true where other programs keep the cores busy: threads sleep while they wait (Linux); slower when idle."""
    settle: bool = True
    """Merge a molt's adapter into a file of its own when idle: replies come a quarter faster; as large as the base."""
    max_reply_tokens: int = Field(default=320, ge=16, le=32_768)
    """A reply ends here at the latest; this much of the window is kept free for it."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """0 always takes the most probable word; more is livelier."""
    top_k: int = Field(default=40, ge=0)
    """Only the K most probable tokens are drawn from; 0 is all."""
    top_p: float = Field(default=0.9, gt=0, le=1)
    """Only the most probable tokens that reach this probability together are drawn from."""
    min_p: float = Field(default=0.05, ge=0, lt=1)
    """Tokens less probable than this share of the best one are never drawn."""
    repeat_penalty: float = Field(default=1.1, ge=1, le=2)
    """How much words just said are held back; 1 is not at all."""


class MemorySettings(Section):
    """``[memory]``: what is remembered in a turn, and what of it may not be learnt from or leave the machine.

    A rule with a ``/`` or ``*`` in it is a pattern of paths: ``*`` stays within one folder, ``**`` does not, a folder
    stands for all in it, and what begins with neither ``/`` nor ``~`` may begin at any folder. Any other rule is a word
    or phrase, found whole and in any case. ``memory/labels.py`` reads them, so that they hold for every program.
    """

    k: int = Field(default=5, ge=0, le=50)
    """At most this many memories are shown with a question; 0 turns recall off."""
    budget_tokens: int = Field(default=400, ge=0, le=32_768)
    """The memories of one question take at most this much of the window."""
    embedder: str = "all-MiniLM-L6-v2"
    """Any sentence-transformers model, by name or folder; paraphrase-multilingual-MiniLM-L12-v2 for other languages."""
    chroma: str = ""
    """Address of a Chroma server such as "http://host:8000", for more than one machine; empty keeps the index here."""
    nightly: bool = True
    """Once a night, or at the next start, the idle app proposes what you said that may be worth keeping."""
    private: Rules = ()
    """Remembered, but never learnt from and never sent away: paths like "~/clients/**", words like "#medical"."""
    never_train: Rules = ()
    """Remembered, but never learnt from: paths such as "drafts/*.md", and words."""


TOOL_NAMES = (
    "date_and_time",
    "read_file",
    "list_folder",
    "search_files",
    "recall",
    "write_file",
    "run_command",
    "remember",
    "forget",
)


class ToolSettings(Section):
    """``[tools]``: what he may do besides talking. Whatever writes, runs or leaves the folders asks first, always."""

    enabled: Rules = TOOL_NAMES
    """The tools he has; take names out, or leave [] for none."""
    folders: Rules = ()
    """Where tools look at once, and write when agreed to, such as "~/notes"; [] is the home and the current folder."""
    timeout_s: float = Field(default=20.0, ge=1, le=600)
    """A command is ended after this time."""
    memory_mib: int = Field(default=1024, ge=64, le=1_048_576)
    """A command and its children may take this much memory together."""


class RetrainSettings(Section):
    """``[retrain]``: how a molt is made."""

    minutes: float = Field(default=0.0, ge=0, le=1440)
    """A retraining is fitted into this time, unless ``--minutes`` says otherwise; 0 is no limit."""
    after_new: int = Field(default=0, ge=0, le=100_000)
    """The open app retrains by itself once so many new replies can be learnt and the machine is idle; 0 is never."""


class HeartbeatSettings(Section):
    """``[heartbeat]``: what he looks after by himself; the list stands in HEARTBEAT.md."""

    on: bool = False
    """The open app works through HEARTBEAT.md on its schedule; each round stands in its log: /log."""
    every_minutes: float = Field(default=60.0, ge=5, le=10_080)
    """So long after a round the next one is due."""
    from_hour: int = Field(default=8, ge=0, le=23)
    """No round begins before this hour of the day (local time)."""
    to_hour: int = Field(default=22, ge=1, le=24)
    """No round begins at this hour or later; a smaller number than from_hour reaches over midnight."""


class UiSettings(Section):
    """``[ui]``: how the app looks."""

    theme: str = "molting-dark"
    """Name of a theme of the app; the command palette lists them and stores the choice here."""


KEYS_EXAMPLE = (
    "## Other keys for what the app does; F1 lists their names, several keys are separated by commas.",
    "## [keys]",
    '## "app.memory" = "f9"',
    "",
)
TEACHER_EXAMPLE = (
    "## Who may answer your questions for a retraining: python -m distill teach --home HOME --teacher NAME",
    "## The key itself never stands here: key_env names the environment variable that holds it.",
    "## [teachers.opus]",
    '## kind = "anthropic"',
    '## model = "claude-opus-4-5"',
    '## key_env = "ANTHROPIC_API_KEY"',
)


class Config(Section):
    """All settings of a home; each has a default, so that an empty or missing file is a good one."""

    model: ModelSettings = ModelSettings()
    """Who talks, and how."""
    memory: MemorySettings = MemorySettings()
    """What is remembered in a turn, and what keeps to itself."""
    tools: ToolSettings = ToolSettings()
    """What he may do besides talking."""
    retrain: RetrainSettings = RetrainSettings()
    """How a molt is made."""
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    """What he looks after by himself."""
    ui: UiSettings = UiSettings()
    """How the app looks."""
    keys: dict[str, str] = {}
    """``[keys]``: other keys for what the Help screen lists, by the name it shows: ``"app.memory" = "f9"``."""
    teachers: dict[str, Any] = {}
    """``[teachers.NAME]`` tables, which ``python -m distill teach`` asks; see distill/teachers/settings.py."""


def load_config(home: Home) -> Config:
    """The settings of ``home``; a missing file gives the defaults.

    Errors: HomeError naming file, line, key and what is allowed.
    """
    path = home.config_file
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise HomeError(f"{path} cannot be read ({error}); mend it or remove it to get the defaults") from None
    return parse_config(text, path)


def parse_config(text: str, path: Path) -> Config:
    """Checked settings from TOML text; ``path`` is named in errors (HomeError)."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        place = f"{path}:{line[1] if line else len(text.splitlines())}"
        reason = re.sub(r" \(at .*\)$", "", str(error))
        raise HomeError(f"{place}: not valid TOML: {reason}; mend the line or remove it") from None
    config = _checked({key: value for key, value in values.items() if key != "teachers"}, text, path)
    return _with_teachers(config, values, text, path) if "teachers" in values else config


def _checked(values: dict[str, Any], text: str, path: Path) -> Config:
    try:
        return Config.model_validate({**values, **({"keys": _flat(values["keys"])} if "keys" in values else {})})
    except ValidationError as error:
        first = error.errors()[0]
        keys = [str(part) for part in first["loc"]]
        raise HomeError(f"{_place(text, keys, path)}: {'.'.join(keys)}: {_reason(first, keys)}") from None


def _flat(table: Any, before: str = "") -> Any:
    """``{"app": {"memory": "f9"}}``, as TOML reads a name with a dot and no quotes, as ``{"app.memory": "f9"}``."""
    if not isinstance(table, dict):
        return table
    flat: dict[str, Any] = {}
    for name, value in table.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return flat


def _with_teachers(config: Config, values: dict[str, Any], text: str, path: Path) -> Config:
    """The settings with their teachers checked; what knows about those is loaded only where there are any."""
    from distill.teachers.settings import explain, parse_teachers

    try:
        return config.model_copy(update={"teachers": parse_teachers(values)})
    except ValidationError as error:  # a wrong value there may be a key: it is never repeated
        keys, reason = explain(error.errors(include_input=False)[0])
        place = _place(text, [".".join(keys[:2]), *keys[2:]], path)
        raise HomeError(f"{place}: {'.'.join(keys)}: {reason}") from None


def _place(text: str, keys: list[str], path: Path) -> str:
    line = find_line(text, keys)
    return f"{path}:{line}" if line else str(path)


def set_value(home: Home, key: str, value: Value) -> Config:
    """Write one setting (``model.name``) into config.toml, leave everything else as it stands; gives the new settings.

    Errors: UsageError for an unknown key or a value that is not allowed; HomeError when the file is broken already.
    """
    path = home.config_file
    section, _, name = key.partition(".")
    if not name or key not in keys_of_config():
        raise UsageError(f"{key}: no such setting; there are: {', '.join(keys_of_config())}")
    with file_lock(home.cache_dir / "config.lock"):
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        before = parse_config(text, path)
        new_text = replace_value(text, section, name, value)
        try:
            config = parse_config(new_text, path)
        except HomeError as error:
            raise UsageError(str(error)) from None
        if _other_values(config, key) != _other_values(before, key):
            raise HomeError(f"{path}: {key} could not be set without touching other lines; set it by hand")
        write_atomic(path, new_text)
    return config


def keys_of_config() -> list[str]:
    """Every setting as ``section.name``."""
    return [f"{section}.{name}" for section in _sections() for name in fields_of(section)]


def config_template() -> str:
    """A config.toml in which every setting stands with its meaning and default, all commented out."""
    lines = ["# Settings of this home. Remove the # in front of a setting to change it."]
    for section in _sections():
        lines += ["", f"[{section}]"]
        for name, field in fields_of(section).items():
            lines += [f"# {(field.description or '').replace('``', '')}", f"# {name} = {json.dumps(field.default)}"]
    return "\n".join([*lines, "", *KEYS_EXAMPLE, *TEACHER_EXAMPLE]) + "\n"


def allowed_values(key: str) -> str:
    """What may stand for ``section.name``, such as ``a whole number, >= 0, <= 1024``."""
    section, _, name = key.partition(".")
    field = fields_of(section)[name]
    kind = {
        "str": "text",
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "tuple": "a list of texts",
    }[getattr(field.annotation, "__name__", "str")]
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    limits = [
        f"{sign} {getattr(rule, word)}"
        for rule in field.metadata
        for word, sign in signs.items()
        if hasattr(rule, word)
    ]
    return ", ".join([kind, *limits])


def replace_value(text: str, section: str, name: str, value: Value) -> str:
    """TOML text with ``section.name`` set; comments, order and blank lines stay (pure)."""
    literal = json.dumps(value, ensure_ascii=False)
    lines = text.splitlines()
    setting = f"{name} = {literal}"
    header = _line_of_header(lines, section)
    commented = rf"#\s*{re.escape(name)}\s*="
    if header is None:
        gap = [""] if lines and lines[-1].strip() else []
        return "\n".join([*lines, *gap, f"[{section}]", setting]) + "\n"
    last, below = header, 0
    for index in range(header + 1, len(lines)):
        if re.match(r"\s*\[", lines[index]):
            break
        if re.match(rf"\s*{re.escape(name)}\s*=", lines[index]):
            comment = re.search(r"""=\s*(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^#"']*?)(\s*#.*)$""", lines[index])
            lines[index] = setting + (comment[1] if comment else "")
            return "\n".join(lines) + "\n"
        # A new setting stands below its own commented-out default where there is one, else at the section's end.
        if re.match(commented, lines[index]):
            below = index
        if lines[index].strip():
            last = index
    lines.insert((below or last) + 1, setting)
    return "\n".join(lines) + "\n"


def find_line(text: str, keys: Iterable[str]) -> int | None:
    """1-based line of ``section.name`` (or of the section) in TOML text; None when it is written in another way."""
    section, *rest = keys
    lines = text.splitlines()
    header = _line_of_header(lines, section)
    if header is None:
        pattern = rf"\s*{re.escape(section)}\s*[.=]"
        return next((number for number, line in enumerate(lines, 1) if re.match(pattern, line)), None)
    for index in range(header + 1, len(lines)):
        if re.match(r"\s*\[", lines[index]):
            break
        if rest and re.match(rf"""\s*["']?{re.escape(rest[0])}["']?\s*=""", lines[index]):
            return index + 1
    return header + 1


def _line_of_header(lines: list[str], section: str) -> int | None:
    pattern = rf"\s*\[\s*{re.escape(section)}\s*\]"
    return next((index for index, line in enumerate(lines) if re.match(pattern, line)), None)


def _sections() -> list[str]:
    """The sections whose settings are known by name; ``teachers`` holds tables that the person names."""
    return [section for section, field in Config.model_fields.items() if isinstance(field.default, Section)]


def fields_of(section: str) -> dict[str, FieldInfo]:
    """The settings of one section; each default of Config is an object of its section's class."""
    return type(Config.model_fields[section].default).model_fields


def _other_values(config: Config, key: str) -> dict[str, Any]:
    section, _, name = key.partition(".")
    values = config.model_dump()
    values[section].pop(name)
    return values


def _reason(error: Any, keys: list[str]) -> str:
    """What is wrong and what is allowed, in one clause."""
    if error["type"] == "extra_forbidden":
        if len(keys) == 1:
            return f"no such section; there are: {', '.join(Config.model_fields)}"
        return f"no such setting; {keys[0]} has: {', '.join(fields_of(keys[0]))}"
    if keys[0] == "keys":
        return f'{error["input"]!r} is not allowed; must be the name of a key, such as "f9"'
    if len(keys) == 1:
        return f"{error['input']!r} is not allowed; it is a section: [{keys[0]}]"
    return f"{error['input']!r} is not allowed; must be {allowed_values('.'.join(keys[:2]))}"
