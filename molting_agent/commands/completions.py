"""``molt completions``: the lines that let a shell complete molt's commands and options."""

import click

from molting_agent.commands.common import say

PROGRAM = "molt"
VARIABLE = "_MOLT_COMPLETE"


@click.command(epilog='Example: eval "$(molt completions bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completions(shell: str) -> None:
    """Print the completion script of SHELL; put it where the shell reads its settings.

    bash: eval "$(molt completions bash)" in ~/.bashrc. zsh: the same in ~/.zshrc. fish: molt completions fish >
    ~/.config/fish/completions/molt.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    assert kind is not None  # noqa: S101 - the three shells are click's own
    completion = kind(root, {}, PROGRAM, VARIABLE)
    say(completion.source_template % completion.source_vars())
