"""Slash commands about memory: remember, recall, forget, undo, memory."""

from typing import TYPE_CHECKING

from molting_agent.clean import clean_line
from molting_agent.ui.commands.registry import command
from molting_agent.ui.receipts import receipt_line

if TYPE_CHECKING:
    from memory.values import RecalledMemory, Receipt
    from molting_agent.ui.chat import ChatScreen


@command("remember", "TEXT", summary="write a line into MEMORY.md")
async def remember(chat: "ChatScreen", argument: str) -> None:
    """Add a memory; the receipt says where it stands."""

    async def written(receipt: "Receipt") -> None:
        await chat.note(receipt_line(receipt), "receipt")

    chat.with_agent(lambda agent: agent.remember(argument), then=written)


@command("recall", "QUERY", summary="what he would remember, with where it stands")
async def recall(chat: "ChatScreen", argument: str) -> None:
    """Show memories without asking him."""

    async def found(memories: "list[RecalledMemory]") -> None:
        if not memories:
            await chat.note(f"Nothing is remembered about: {argument}")
            return
        lines = [f"{memory.id}  {memory.citation}   {clean_line(memory.text)}" for memory in memories]
        await chat.note("\n".join(lines))

    chat.with_agent(lambda agent: agent.recall(argument), then=found)


@command("forget", "ID", summary="forget a memory by its id (/recall and F2 show ids)")
async def forget(chat: "ChatScreen", argument: str) -> None:
    """Forget, with a receipt for each place it left."""

    async def forgotten(receipts: "list[Receipt]") -> None:
        lines = [receipt_line(receipt) for receipt in receipts]
        await chat.note("\n".join(lines) or f"There is no memory {argument}.", "receipt" if lines else "warning")

    chat.with_agent(lambda agent: agent.forget(argument), then=forgotten)


@command("undo", summary="take back the memory that was written last")
async def undo(chat: "ChatScreen", _argument: str) -> None:
    """Make MEMORY.md what it was before."""

    async def taken_back(receipt: "Receipt") -> None:
        await chat.note(receipt_line(receipt), "receipt")

    chat.with_agent(lambda agent: agent.undo(), then=taken_back)


@command("memory", summary="search, read and forget memories (F2)")
async def memory(chat: "ChatScreen", _argument: str) -> None:
    """Open the Memory screen."""
    chat.molting.action_memory()
