"""Slash commands about what was just said: again, back, branch, edit, copy, export, why, context."""

from typing import TYPE_CHECKING

from molting_agent.ui import block_actions, picks
from molting_agent.ui.block import Block
from molting_agent.ui.commands.registry import command
from molting_agent.ui.export import export_session
from molting_agent.ui.reply_block import ReplyBlock
from molting_agent.ui.user_block import UserBlock

if TYPE_CHECKING:
    from molting_agent.agent import Agent
    from molting_agent.ui.chat import ChatScreen

NOTHING = "Nothing was said yet."


def last(chat: "ChatScreen", kind: type[Block]) -> Block | None:
    """The newest block of a kind that stands on disk."""
    blocks = [block for block in chat.conversation.blocks if isinstance(block, kind) and block.message_id]
    return blocks[-1] if blocks else None


async def act_on_last(chat: "ChatScreen", kind: type[Block], what: str) -> None:
    """Do to the newest block what its key does."""
    block = last(chat, kind)
    if block is None:
        await chat.note(NOTHING)
    else:
        block_actions.act(chat, block, what)


@command("retry", summary="have the last question answered anew; the old reply stays as a branch")
async def retry(chat: "ChatScreen", _argument: str) -> None:
    """Ask again."""
    await act_on_last(chat, UserBlock, "again")


@command("back", summary="take the last question and its reply back; they stay in the file as a branch")
async def back(chat: "ChatScreen", _argument: str) -> None:
    """Go back to before the last question, and put it into the prompt."""
    block = last(chat, UserBlock)
    if block is None:
        await chat.note(NOTHING)
        return
    block_actions.take_back(chat, block.message_id, lambda: chat.prompt.put(block.text), mark="back")


@command("branch", summary="the branches of this conversation; go on with another one")
async def branch(chat: "ChatScreen", _argument: str) -> None:
    """Choose a branch."""
    picks.pick_branch(chat)


@command("edit", summary="write the last reply as it should have been")
async def edit(chat: "ChatScreen", _argument: str) -> None:
    """Open the editor on the newest reply."""
    await act_on_last(chat, ReplyBlock, "edit")


@command("why", summary="what stood behind the last reply: memories, molt, nearest conversations it learnt")
async def why(chat: "ChatScreen", _argument: str) -> None:
    """Say why."""
    await act_on_last(chat, ReplyBlock, "why")


@command("copy", "[code]", summary="copy the last reply, or the code in it")
async def copy(chat: "ChatScreen", argument: str) -> None:
    """To the clipboard, or a file where there is none."""
    await act_on_last(chat, ReplyBlock, "code" if argument == "code" else "copy")


@command("export", "[file]", summary="write this conversation as markdown")
async def export(chat: "ChatScreen", argument: str) -> None:
    """Write it; a file that is there is replaced only when agreed to."""
    agent = chat.molting.agent
    if agent is None or not agent.session.id:
        await chat.note(NOTHING)
        return
    export_session(chat.app, agent, agent.session.id, lambda line: chat.run_worker(chat.note(line)), to=argument)


@command("search", "[words]", summary="find a conversation by what was said in it (F4)")
async def search(chat: "ChatScreen", argument: str) -> None:
    """Open the Sessions screen on these words."""
    from molting_agent.ui.screens.sessions import SessionsScreen

    chat.molting.open_screen(SessionsScreen, argument)


@command("context", summary="what he sees now: identity, turns, memories, and what has left the window")
async def context(chat: "ChatScreen", _argument: str) -> None:
    """Say what is in the window."""

    def work(agent: "Agent") -> list[str]:
        return agent.describe_context()

    async def found(lines: list[str]) -> None:
        await chat.note("\n".join(lines))

    chat.when_free(work, then=found)
