"""Slash commands about the app and its home: help, screens, theme, doctor, quit."""

from typing import TYPE_CHECKING

from molting_agent.ui.background import in_background
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


@command("ingest", "[path]", summary="look what is in files or logs, and read them into the memory (F5)")
async def ingest(chat: "ChatScreen", argument: str) -> None:
    """Open the Ingest screen; with a path it looks at once."""
    chat.molting.action_ingest(argument)


@command("identity", summary="read and edit who he is (F6)")
async def identity(chat: "ChatScreen", _argument: str) -> None:
    """Open the Identity screen."""
    chat.molting.action_identity()


@command("settings", summary="every setting with what it means (F7)")
async def settings(chat: "ChatScreen", _argument: str) -> None:
    """Open the Settings screen."""
    chat.molting.action_settings()


@command("log", summary="what he did while nobody asked")
async def log(chat: "ChatScreen", _argument: str) -> None:
    """The newest deeds."""
    from molting_agent.alone_log import deed_line, deeds

    found = deeds(chat.molting.home)
    await chat.note("\n".join(map(deed_line, found)) if found else "He did nothing by himself. See: /heartbeat")


@command("heartbeat", summary="what he looks after by himself, and when")
async def heartbeat(chat: "ChatScreen", _argument: str) -> None:
    """Say what is on, and how to change it."""
    from molting_agent.heartbeat import LIST_NAME, items

    config = chat.molting.config
    path = chat.molting.home.root / LIST_NAME
    listed = items(path.read_text(encoding="utf-8", errors="replace")) if path.exists() else []
    on = config is not None and config.heartbeat.on
    when = f"every {config.heartbeat.every_minutes:g} minutes" if config is not None else ""
    lines = [f"It is {f'on, {when}' if on else 'off; F7 turns it on: heartbeat.on'}."]
    lines += [f"- {item}" for item in listed] or [f"{LIST_NAME} has no items; F6 writes it: one bullet each."]
    await chat.note("\n".join(lines))


@command("doctor", summary="look whether everything is in order")
async def doctor(chat: "ChatScreen", _argument: str) -> None:
    """The checks of molt doctor, in the conversation."""

    def work() -> list[str]:
        from molting_agent.doctor import examine

        marks = {"ok": "✓", "warning": "!", "failed": "×"}
        return [
            f"{marks[found.level]} {found.check}: {found.fact}" + (f"; {found.advice}" if found.advice else "")
            for found in examine(chat.molting.home)
        ]

    in_background(chat.app, work, then=lambda lines: chat.note("\n".join(lines)), failed=chat.note)
