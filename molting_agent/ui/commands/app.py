"""Slash commands about the app itself: help, theme, quit."""

from typing import TYPE_CHECKING

from molting_agent.ui.commands.registry import command
from molting_agent.ui.themes import SHORT_NAMES, theme_name

if TYPE_CHECKING:
    from molting_agent.agent import Agent
    from molting_agent.ui.chat import ChatScreen


@command("theme", "[name]", summary="dark, light, ansi, or any theme of the palette")
async def theme(chat: "ChatScreen", argument: str) -> None:
    """Change the theme and keep the choice."""
    names = sorted(chat.app.available_themes)
    name = theme_name(argument, names)
    if name:
        chat.molting.choose_theme(name)
    elif argument:
        await chat.note(f"There is no theme {argument}; there are: {', '.join([*SHORT_NAMES, *names])}", "warning")
    else:
        await chat.note(f"The theme is {chat.app.theme}; there are: {', '.join([*SHORT_NAMES, *names])}")


@command("tools", summary="what he can do besides talking, and whether he asks first")
async def tools(chat: "ChatScreen", _argument: str) -> None:
    """List the tools with their state."""

    def look(agent: "Agent") -> list[tuple[str, str, str]]:
        from molting_agent.tools.registry import state_lines

        return state_lines(agent.config.tools.enabled)

    async def show(lines: list[tuple[str, str, str]]) -> None:
        width = max(len(name) for name, _, _ in lines)
        text = "\n".join(f"{name.ljust(width)}  {state}: {summary}" for name, state, summary in lines)
        await chat.note(f"{text}\nChange it in config.toml under [tools].")

    chat.with_agent(look, then=show)


@command("help", summary="keys and commands (F1)")
async def show_help(chat: "ChatScreen", _argument: str) -> None:
    """Open the Help screen."""
    chat.molting.action_show_help()


@command("quit", summary="leave; asks first when a retraining runs")
async def leave(chat: "ChatScreen", _argument: str) -> None:
    """Leave the app."""
    await chat.app.action_quit()
