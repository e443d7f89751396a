"""``molt config``: the settings of a home, each with its meaning; read and written one by one."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from molting_agent.commands.common import MoltGroup, home_option, json_option, print_json, print_table, say, with_home

if TYPE_CHECKING:
    from memory.home import Home


@click.group(cls=MoltGroup, name="config", epilog="Example: molt config ls")
@home_option
def config_group() -> None:
    """List, read and write the settings in config.toml."""


@config_group.command(epilog="Example: molt config ls --changed")
@click.option("--changed", is_flag=True, help="Only those that are not at their default.")
@json_option
@with_home
def ls(home: "Home", *, changed: bool, as_json: bool) -> None:
    """List the settings; a star marks what was changed."""
    from molting_agent.config import load_config
    from molting_agent.setting import settings, shown

    found = [one for one in settings(load_config(home)) if one.is_changed or not changed]
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_table(
        [("*" if one.is_changed else " ", one.key, shown(one.value) or "(empty)", one.meaning) for one in found]
    )


@config_group.command(epilog="Example: molt config get model.temperature")
@click.argument("key")
@json_option
@with_home
def get(home: "Home", key: str, as_json: bool) -> None:
    """Print what KEY is set to; its meaning, default and allowed values go to stderr."""
    from molting_agent.config import load_config
    from molting_agent.setting import setting, shown

    one = setting(load_config(home), key)
    if as_json:
        print_json(asdict(one))
        return
    say(shown(one.value))
    say(f"{one.meaning} Default: {shown(one.default) or '(empty)'}. Allowed: {one.allowed}.", err=True)


@config_group.command("set", epilog="Example: molt config set model.temperature 0.5")
@click.argument("key")
@click.argument("value", nargs=-1, required=True)
@with_home
def set_one(home: "Home", key: str, value: tuple[str, ...]) -> None:
    """Set KEY to VALUE; comments and everything else in the file stay as they are."""
    from molting_agent.config import set_value
    from molting_agent.setting import parse_value, setting, shown

    config = set_value(home, key, parse_value(key, " ".join(value)))
    say(f"{key} = {shown(setting(config, key).value)}")
