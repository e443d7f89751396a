"""``molt config``, ``molt completions`` and ``molt identity``, and what stands in ``[keys]``."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from memory.errors import HomeError
from memory.home import Home
from molting_agent.cli import main
from molting_agent.config import Config, keys_of_config, load_config, parse_config
from molting_agent.setting import parse_value, settings, shown


def molt(home: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["--home", str(home), *words])
    return done.exit_code, done.output


def test_every_setting_has_a_meaning_and_is_listed(tmp_path: Path) -> None:
    code, output = molt(tmp_path, "config", "ls")
    assert code == 0
    for one in settings(Config()):
        assert one.meaning.endswith(".")
        assert one.key in output
    assert len(output.splitlines()) == len(keys_of_config())


def test_a_setting_is_written_with_its_type_and_nothing_else_changes(tmp_path: Path) -> None:
    molt(tmp_path, "config", "ls")
    before = (tmp_path / "config.toml").read_text().splitlines()
    assert molt(tmp_path, "config", "set", "memory.private", "~/clients/**, #medical")[0] == 0
    assert molt(tmp_path, "config", "set", "model.settle", "off")[0] == 0
    config = load_config(Home(tmp_path))
    assert config.memory.private == ("~/clients/**", "#medical")
    assert config.model.settle is False
    after = (tmp_path / "config.toml").read_text().splitlines()
    assert [line for line in after if line not in before] == [
        "settle = false",
        'private = ["~/clients/**", "#medical"]',
    ]
    output = molt(tmp_path, "config", "ls", "--changed")[1]
    assert [line.split()[1] for line in output.splitlines()] == ["model.settle", "memory.private"]
    assert molt(tmp_path, "config", "get", "model.settle")[1].startswith("false\n")


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("model.top_k", "lots", "must be a whole number"),
        ("model.temperature", "9", "must be a number, >= 0, <= 2"),
        ("model.settle", "perhaps", "must be true or false"),
        ("model.temprature", "1", "no such setting"),
        ("memory.private", '["a", 1]', "write a list"),
    ],
)
def test_a_wrong_value_is_one_line_and_changes_nothing(tmp_path: Path, key: str, value: str, wanted: str) -> None:
    molt(tmp_path, "config", "ls")
    before = (tmp_path / "config.toml").read_text()
    code, output = molt(tmp_path, "config", "set", key, value)
    assert code != 0
    assert wanted in output
    assert len(output.splitlines()) == 1
    assert (tmp_path / "config.toml").read_text() == before


def test_what_is_shown_can_be_typed_again() -> None:
    for one in settings(Config()):
        assert parse_value(one.key, shown(one.default)) == one.default


def test_keys_are_read_quoted_or_not() -> None:
    path = Path("config.toml")
    quoted = parse_config('[keys]\n"app.memory" = "f9"\n', path).keys
    assert quoted == parse_config('[keys]\napp.memory = "f9"\n', path).keys == {"app.memory": "f9"}
    with pytest.raises(HomeError, match="keys"):
        parse_config("[keys]\napp.memory = 9\n", path)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_a_script_that_asks_molt(tmp_path: Path, shell: str) -> None:
    code, output = molt(tmp_path, "completions", shell)
    assert code == 0
    assert f"_MOLT_COMPLETE={shell}_complete" in output
    assert "molt" in output


def test_completion_answers_with_commands() -> None:
    code = "from molting_agent.cli import main; main(prog_name='molt')"
    environment = {"COMP_WORDS": "molt conf", "COMP_CWORD": "1", "_MOLT_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["plain,config"]


def test_identity_is_shown_and_compared(tmp_path: Path) -> None:
    output = molt(tmp_path, "identity", "show")[1]
    assert [line.split()[0] for line in output.splitlines()][:4] == ["SOUL.md", "IDENTITY.md", "USER.md", "MEMORY.md"]
    assert molt(tmp_path, "identity", "diff")[1] == ""
    user = tmp_path / "identity" / "USER.md"
    user.write_text(user.read_text() + "- Name: Ana\n")
    assert "+- Name: Ana" in molt(tmp_path, "identity", "diff", "user")[1]
    code, output = molt(tmp_path, "identity", "show", "ghost")
    assert code != 0
    assert "there are: SOUL.md" in output
