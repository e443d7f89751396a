"""Slash commands about conversations: new, resume, list, stop."""

from typing import TYPE_CHECKING

from molting_agent.ui.commands.registry import command

if TYPE_CHECKING:
    from molting_agent.ui.chat import ChatScreen


@command("new", summary="begin a new conversation")
async def new(chat: "ChatScreen", _argument: str) -> None:
    """A new conversation; the old one stays in its file."""
    chat.new_session()


@command("resume", "[id]", summary="go on with a conversation: the last one, or by the beginning of its id")
async def resume(chat: "ChatScreen", argument: str) -> None:
    """Show a conversation from its end and go on with it."""
    chat.resume(argument or "last")


@command("sessions", summary="list the conversations (F4)")
async def sessions(chat: "ChatScreen", _argument: str) -> None:
    """Open the Sessions screen."""
    chat.molting.action_sessions()


@command("stop", summary="stop his reply; when he is silent, stop a retraining at its next step")
async def stop(chat: "ChatScreen", _argument: str) -> None:
    """What runs in the foreground is stopped first."""
    if chat.turns.busy:
        chat.turns.stop()
    elif chat.molting.training.running:
        chat.molting.training.cancel()
        await chat.note("The retraining stops at its next step and keeps a checkpoint; /retrain goes on from there.")
    else:
        await chat.note("Nothing runs.")
