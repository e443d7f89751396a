"""Settings: defaults, one-line errors that name the place, and writing that leaves the rest of the file alone."""

import tomllib
from pathlib import Path

import pytest

from memory.errors import HomeError, UsageError
from memory.home import Home
from molting_agent.config import Config, config_template, keys_of_config, load_config, parse_config, set_value


def test_a_missing_or_empty_file_gives_the_defaults(home: Home) -> None:
    assert load_config(home) == Config()
    home.config_file.write_text("")
    assert load_config(home) == Config()


def test_the_template_names_every_setting_and_changes_none() -> None:
    template = config_template()
    assert parse_config(template, Path("config.toml")) == Config()
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in template.split("\n"))
    values = tomllib.loads(uncommented)
    assert [f"{section}.{name}" for section in values for name in values[section]] == keys_of_config()


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[model]\ncontext_tokens = 3\n", 2, "model.context_tokens: 3 is not allowed; must be a whole number, >= 512"),
        ("[model]\n\n# c\ntemperature = 'hot'\n", 4, "must be a number, >= 0, <= 2"),
        ("[model]\ntemprature = 1\n", 2, "no such setting; model has: name, context_tokens"),
        ("[ui]\ntheme = 3\n", 2, "must be text"),
        ("[models]\n", 1, "no such section; there are: model, memory, "),
        ("model = 3\n", 1, "it is a section: [model]"),
        ("[memory]\nk = 2.5\n", 2, "must be a whole number"),
        ("[ui]\ntheme = \n", 2, "not valid TOML"),
        ("[ui]\n[ui]\n", 2, "not valid TOML"),
        ("a = ", 1, "not valid TOML"),
    ],
)
def test_a_broken_file_gets_one_line_with_file_line_and_values(home: Home, text: str, line: int, says: str) -> None:
    home.config_file.write_text(text)
    with pytest.raises(HomeError) as caught:
        load_config(home)
    message = str(caught.value)
    assert message.startswith(f"{home.config_file}:{line}: ")
    assert says in message
    assert "\n" not in message


def test_binary_settings_get_one_line(home: Home) -> None:
    home.config_file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HomeError, match="cannot be read"):
        load_config(home)


HAND_WRITTEN = """# mine
[model]  # who talks
name = "a # b"   # keep me
temperature=0.3

[memory]

[ui]
theme = 'x'
"""


@pytest.mark.parametrize(
    ("key", "value", "changed", "into"),
    [
        ("model.name", 'q"uo\\te', 'name = "a # b"   # keep me', 'name = "q\\"uo\\\\te"   # keep me'),
        ("model.temperature", 0.5, "temperature=0.3", "temperature = 0.5"),
        ("model.threads", 2, "temperature=0.3\n", "temperature=0.3\nthreads = 2\n"),
        ("memory.k", 3, "[memory]\n", "[memory]\nk = 3\n"),
        ("ui.theme", "é", "theme = 'x'", 'theme = "é"'),
        ("retrain.minutes", 5.0, "theme = 'x'\n", "theme = 'x'\n\n[retrain]\nminutes = 5.0\n"),
    ],
)
def test_setting_a_value_changes_that_line_only(
    home: Home, key: str, value: str | float, changed: str, into: str
) -> None:
    home.config_file.write_text(HAND_WRITTEN)
    config = set_value(home, key, value)
    assert home.config_file.read_text() == HAND_WRITTEN.replace(changed, into)
    section, _, name = key.partition(".")
    assert getattr(getattr(config, section), name) == value
    assert load_config(home) == config


def test_a_value_goes_below_its_commented_default(home: Home) -> None:
    home.config_file.write_text(config_template())
    set_value(home, "memory.k", 7)
    assert "# k = 5\nk = 7\n" in home.config_file.read_text()


def test_every_setting_can_be_set(home: Home) -> None:
    for key in keys_of_config():
        section, _, name = key.partition(".")
        default = getattr(getattr(Config(), section), name)
        set_value(home, key, default)
    assert load_config(home) == Config()


def test_wrong_settings_are_refused_and_the_file_stays(home: Home) -> None:
    home.config_file.write_text(HAND_WRITTEN)
    for key, value in [("model.nme", 1), ("nothing", 1), ("model", 1), ("model.temperature", 9), ("memory.k", "many")]:
        with pytest.raises(UsageError):
            set_value(home, key, value)
    assert home.config_file.read_text() == HAND_WRITTEN


def test_unusual_toml_is_left_for_a_person(home: Home) -> None:
    home.config_file.write_text('ui = { theme = "x" }\n')
    with pytest.raises((HomeError, UsageError)):
        set_value(home, "ui.theme", "y")
    assert load_config(home).ui.theme == "x"


def test_every_setting_is_read_somewhere() -> None:
    root = Path(__file__).parents[2]
    files = [*(root / "molting_agent").rglob("*.py"), *(root / "memory").rglob("*.py")]
    sources = "".join(path.read_text() for path in files if path.name != "config.py")
    assert [key for key in keys_of_config() if f".{key.partition('.')[2]}" not in sources] == []
