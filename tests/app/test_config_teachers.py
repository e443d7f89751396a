"""The ``[teachers]`` tables of config.toml: read by the app too, refused in one line, and no key repeated."""

from pathlib import Path

import pytest

from memory.errors import HomeError, UsageError
from memory.home import Home
from molting_agent.config import TEACHER_EXAMPLE, load_config, parse_config, set_value

TABLE = '[ui]\ntheme = "x"\n\n[teachers.opus]\nkind = "anthropic"\nmodel = "m"\n'


def test_teachers_are_read_and_other_settings_can_still_be_set(home: Home) -> None:
    home.config_file.write_text(TABLE)
    assert load_config(home).teachers["opus"].kind == "anthropic"
    assert set_value(home, "ui.theme", "y").ui.theme == "y"
    assert load_config(home).teachers["opus"].kind == "anthropic"
    with pytest.raises(UsageError, match="no such setting"):
        set_value(home, "teachers.opus", "x")


def test_the_example_of_the_template_is_a_good_one() -> None:
    text = "\n".join(line.removeprefix("## ") for line in TEACHER_EXAMPLE if "[" in line or " = " in line)
    assert parse_config(text, Path("c")).teachers["opus"].kind == "anthropic"


@pytest.mark.parametrize(
    ("more", "line", "says"),
    [
        ("max_tokens = 3\n", 7, "teachers.opus.max_tokens: "),
        ("modle = 3\n", 7, "no such setting"),
        ('api_key = "sk-ant-abcdef"\n', None, "a key must not stand in this file"),
    ],
)
def test_a_wrong_table_is_one_line(more: str, line: int | None, says: str) -> None:
    with pytest.raises(HomeError) as caught:
        parse_config(TABLE + more, Path("c.toml"))
    message = str(caught.value)
    assert message.startswith(f"c.toml:{line}: " if line else "c.toml")
    assert says in message
    assert "abcdef" not in message
    assert "\n" not in message
