"""The one place where events of the agent become widgets."""

from typing import TYPE_CHECKING

from molting_agent.events import (
    ContextTrimmed,
    Event,
    MemoriesShown,
    MemoryKept,
    Notice,
    ReplyDelta,
    ReplyFinished,
    ReplyStarted,
    Swapped,
    ToolFinished,
    ToolStarted,
    Unbacked,
    UserSaved,
)
from molting_agent.ui.note_block import NoteBlock, tool_note
from molting_agent.ui.receipts import receipt_line
from molting_agent.ui.reply_block import ReplyBlock
from molting_agent.ui.user_block import UserBlock

if TYPE_CHECKING:
    from molting_agent.ui.chat import ChatScreen


async def show_event(chat: "ChatScreen", event: Event) -> None:  # noqa: PLR0912 - one branch an event
    """Show one event; events of a turn arrive in the order of ``molting_agent.events``."""
    reply = chat.reply
    match event:
        case UserSaved():
            await _begun(chat, event)
        case MemoriesShown():
            if reply is not None:
                reply.show_memories(event.memories)
                reply.doing("reading")
        case MemoryKept() | ContextTrimmed():
            await chat.conversation.add(_note_of(event), before=reply)
        case ToolStarted():
            if reply is not None:
                reply.doing(event.call)
        case ToolFinished():
            await chat.conversation.add(tool_note(event.use), before=reply)
        case Unbacked():
            await chat.note(f"{chat.speaker} says: {event.claim} {event.why}", "warning")
        case ReplyStarted():
            if reply is not None:
                if reply.text:  # the engine had died and was asked once more
                    await reply.begin_anew()
                reply.message_id, reply.molt = event.message_id, event.molt
                reply.doing("reading")
        case ReplyDelta():
            if reply is not None:
                reply.write(event.text)
                reply.doing("speaking   Esc stops")
        case ReplyFinished():
            await _finished(chat, event)
        case Swapped():
            await chat.note(swap_line(event.old, event.new), "swap")
            chat.show_status()
        case Notice():
            await chat.note(event.text, event.severity)


def _note_of(event: MemoryKept | ContextTrimmed) -> NoteBlock:
    if isinstance(event, MemoryKept):
        return NoteBlock(f"{receipt_line(event.receipt)}   /undo takes it back", "receipt")
    turns = "turn" if event.turns_left_out == 1 else "turns"
    text = (
        f"The window was full: the oldest {event.turns_left_out} {turns} left his view, "
        f"{event.turns_kept} stay. He can still recall what was said."
    )
    return NoteBlock(text, "warning")


async def _begun(chat: "ChatScreen", event: UserSaved) -> None:
    if all(block.message_id != event.message_id for block in chat.conversation.blocks):  # else it is asked again
        await chat.conversation.add(UserBlock(event.text, message_id=event.message_id))
    chat.reply = ReplyBlock(chat.speaker, streaming=True)
    chat.reply.on_growth = chat.conversation.settle
    await chat.conversation.add(chat.reply, counts=False)
    chat.show_queue()


async def _finished(chat: "ChatScreen", event: ReplyFinished) -> None:
    reply, chat.reply = chat.reply, None
    if reply is None:
        return
    reply.message_id, reply.molt = event.message_id, event.molt
    if event.memories:
        reply.show_memories(event.memories)
    reply.show_thinking(event.thinking)
    await reply.finish(event.text, reason=event.reason)
    chat.show_status()


async def turn_ended(chat: "ChatScreen", error: str) -> None:
    """Leave nothing spinning when a turn ended without a finished reply."""
    reply, chat.reply = chat.reply, None
    if reply is not None:
        if reply.text:
            await reply.finish(reply.text, reason="failed" if error else "cancelled")
        else:
            await reply.remove()


def swap_line(old: int, new: int) -> str:
    """``molt 1 → molt 2``, said in the conversation where the voice changes."""
    return f"{_name(old)} → {_name(new)}   From here on {_name(new)} speaks."


def _name(molt: int) -> str:
    return f"molt {molt}" if molt else "the base"
