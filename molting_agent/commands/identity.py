"""``molt identity``: the files that say who he is; shown, edited, and compared with what was shipped."""

from typing import TYPE_CHECKING

import click

from memory.errors import UsageError
from molting_agent.commands.common import MoltGroup, home_option, print_table, say, with_home

if TYPE_CHECKING:
    from memory.home import Home


@click.group(cls=MoltGroup, name="identity", epilog="Example: molt identity show SOUL")
@home_option
def identity_group() -> None:
    """Show, edit and compare SOUL, IDENTITY, USER and MEMORY."""


@identity_group.command(epilog="Example: molt identity show USER")
@click.argument("name", required=False)
@with_home
def show(home: "Home", name: str | None) -> None:
    """Print one file, or list them all."""
    from molting_agent.identity_files import find_file, identity_files, read_file

    if name:
        say(read_file(find_file(home, name)).rstrip("\n"))
        return
    print_table([(file.name, f"{len(read_file(file).split())} words", file.what) for file in identity_files(home)])


@identity_group.command(epilog="Example: molt identity edit USER")
@click.argument("name")
@with_home
def edit(home: "Home", name: str) -> None:
    """Open one file in $EDITOR; he reads it in his next conversation."""
    from molting_agent.identity_files import find_file, read_file, write_file

    file = find_file(home, name)
    before = read_file(file)
    after = click.edit(before, extension=".md")
    if after is None or after == before:
        say("nothing was changed", err=True)
    elif not after.strip():
        raise UsageError(f"{file.name}: an empty file was not taken over; remove it by hand if that is meant")
    else:
        write_file(file, after)
        say(f"{file.path}: written", err=True)


@identity_group.command(epilog="Example: molt identity diff")
@click.argument("name", required=False)
@with_home
def diff(home: "Home", name: str | None) -> None:
    """Show what was changed since he was shipped, in one file or in all."""
    from molting_agent.identity_files import diff, find_file, identity_files

    files = [find_file(home, name)] if name else identity_files(home)
    for text in filter(None, map(diff, files)):
        say(text)
