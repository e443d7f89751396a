"""Writes docs/cli.md from the commands themselves: ``python -m molting_agent.reference > docs/cli.md``."""

from collections.abc import Iterator

import click

from molting_agent.cli import main

HEAD = """# The commands

Generated from the commands themselves by `make docs`; do not edit. `list` is the same as `ls`. Every command knows
`--help`, and fails in one line on stderr.
"""


def reference() -> str:
    """All commands as markdown."""
    return HEAD + "".join(_sections(main, click.Context(main, info_name="molt")))


def walk(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """A command and all below it, in alphabetical order."""
    yield command, context
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            below = command.commands[name]
            yield from walk(below, click.Context(below, info_name=name, parent=context))


def _sections(root: click.Command, context: click.Context) -> Iterator[str]:
    for command, its_context in walk(root, context):
        usage = " ".join(piece for piece in command.collect_usage_pieces(its_context) if piece)
        yield f"\n## {its_context.command_path}\n\n"
        yield f"    {its_context.command_path} {usage}\n\n"
        yield _paragraphs(command.help or "") + "\n"
        options = [_option(p) for p in command.params if isinstance(p, click.Option) and not p.hidden]
        if options:
            yield "\n" + "\n".join(options) + "\n"
        if command.epilog:
            yield f"\nExample: `{command.epilog.removeprefix('Example: ')}`\n"


def _option(option: click.Option) -> str:
    value = "" if option.is_flag else f" {_metavar(option)}"
    shown = f" (default: {option.default})" if option.show_default else ""
    return f"- `{', '.join(option.opts)}{value}`: {option.help}{shown}"


def _metavar(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(str(choice) for choice in option.type.choices)
    return option.metavar or option.type.name.upper().removesuffix(" RANGE")


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))


if __name__ == "__main__":
    click.echo(reference(), nl=False)
