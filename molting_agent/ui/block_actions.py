"""What the keys on a block do: copy, rate, edit, ask again, branch, why."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from molting_agent.ui.background import in_background
from molting_agent.ui.block import Block
from molting_agent.ui.clipboard import copied, copy_to_system
from molting_agent.ui.code_blocks import code_blocks
from molting_agent.ui.note_block import NoteBlock
from molting_agent.ui.reply_block import ReplyBlock
from molting_agent.ui.screens.editor import Editor
from molting_agent.ui.screens.pick import Pick
from molting_agent.ui.user_block import UserBlock

if TYPE_CHECKING:
    from molting_agent.agent import Agent
    from molting_agent.ui.chat import ChatScreen

WAIT = "Wait until he has finished."


def act(chat: "ChatScreen", block: Block, what: str) -> None:
    """Do what was asked of a block."""
    if what == "copy":
        copy_text(chat, chat.selected_text or block.text)
    elif what == "code":
        copy_code(chat, block.text)
    elif isinstance(block, NoteBlock):
        return
    elif what == "memories" and isinstance(block, ReplyBlock):
        chat.conversation.hold_still()
        block.toggle_memories()
    elif not block.message_id or (isinstance(block, ReplyBlock) and block.streaming):
        chat.toast(WAIT)
    elif isinstance(block, ReplyBlock):
        actions: dict[str, Callable[[], None]] = {
            "edit": lambda: edit(chat, block),
            "up": lambda: rate(chat, block, 1),
            "down": lambda: rate(chat, block, -1),
            "again": lambda: ask_again(chat, block),
            "branch": lambda: branch(chat, block),
            "why": lambda: why(chat, block),
        }
        actions[what]()
    elif what == "edit":
        chat.prompt.put(block.text)
        chat.rewriting = block.message_id
        chat.prompt.focus()
        chat.show_queue()
    elif what == "branch":
        branch(chat, block)
    elif what == "again":
        ask_again(chat, block)


def copy_text(chat: "ChatScreen", text: str) -> None:
    """Copy, and say where it went."""
    file = chat.molting.home.cache_dir / "copied.md"

    def done(by_system: bool) -> None:
        chat.toast(copied(chat.app, text, file, by_system=by_system))

    in_background(chat.app, lambda: copy_to_system(text), then=done, failed=chat.toast)


def copy_code(chat: "ChatScreen", text: str) -> None:
    """Copy a code block; of several, the one that is chosen."""
    blocks = code_blocks(text)
    if len(blocks) < 2:
        copy_text(chat, blocks[0]) if blocks else chat.toast("There is no code in it; y copies the text.")
        return

    def chosen(place: int | None) -> None:
        if place is not None:
            copy_text(chat, blocks[place])

    lines = [f"{len(block.splitlines())} lines   {block.strip().splitlines()[0]}" for block in blocks if block.strip()]
    chat.app.push_screen(Pick("Which code?", lines), chosen)


def rate(chat: "ChatScreen", block: ReplyBlock, rating: int) -> None:
    """Keep a thumb; the same key again takes it back."""
    wanted = 0 if block.rating == rating else rating

    def kept(_result: None) -> None:
        block.rating = wanted
        block.show_foot()

    chat.with_agent(lambda agent: agent.rate(block.message_id, wanted), then=kept)


def edit(chat: "ChatScreen", block: ReplyBlock) -> None:
    """Open the editor; what is saved replaces the reply and is what he learns."""

    def saved(text: str | None) -> None:
        if not text:
            return

        async def kept(_result: None) -> None:
            block.edited = True
            await block.replace(text)
            block.show_foot()

        chat.with_agent(lambda agent: agent.edit(block.message_id, text), then=kept)

    chat.app.push_screen(Editor(block.text), saved)


def question_before(chat: "ChatScreen", block: Block) -> UserBlock | None:
    """The question that a reply answers; a question itself."""
    blocks = chat.conversation.blocks
    before = blocks[: blocks.index(block) + 1]
    return next((one for one in reversed(before) if isinstance(one, UserBlock)), None)


def ask_again(chat: "ChatScreen", block: Block) -> None:
    """Have the question answered anew; the old reply stays in the file as another branch, to be preferred or not."""
    question = question_before(chat, block)
    if question is None:
        chat.toast("Its question is further up; PgUp shows it.")
        return

    async def back(_result: None) -> None:
        await chat.conversation.cut_after(question)
        chat.conversation.newest()
        chat.turns.again(question.text)

    chat.when_free(lambda agent: agent.go_back(question.message_id), then=back)


def branch(chat: "ChatScreen", block: Block) -> None:
    """Go on from here; what came after stays in the file."""

    def work(agent: "Agent") -> int:
        before = len(agent.session.turns)
        agent.go_back(block.message_id, mark="branch")
        return before - len(agent.session.turns)

    async def done(left: int) -> None:
        await chat.conversation.cut_after(block)
        chat.show_status()
        chat.prompt.focus()
        if left:
            turns = "turn stays" if left == 1 else "turns stay"
            await chat.note(f"The conversation goes on from here; {left} {turns} in the file, /branch finds them.")

    chat.when_free(work, then=done)


def take_back(chat: "ChatScreen", message_id: str, then: Callable[[], Any], *, mark: str = "") -> None:
    """Go back to before a question, to ask it in other words; ``mark``: for good, though nothing follows."""

    def work(agent: "Agent") -> str:
        ids = [turn.message_id for turn in agent.session.turns]
        at = ids.index(message_id) if message_id in ids else len(ids)
        agent.go_back(ids[at - 1] if at else "", mark=mark)
        return ids[at - 1] if at else ""

    async def back(last: str) -> None:
        blocks = chat.conversation.blocks
        kept = next((one for one in reversed(blocks) if one.message_id == last), None) if last else None
        await chat.conversation.cut_after(kept)
        then()

    chat.when_free(work, then=back)


def why(chat: "ChatScreen", block: ReplyBlock) -> None:
    """Say in the conversation what stood behind a reply."""

    def work(agent: "Agent") -> list[str]:
        from molting_agent.why import why, why_lines

        turn = next(turn for turn in agent.session.turns if turn.message_id == block.message_id)
        return why_lines(why(agent, turn))

    async def found(lines: list[str]) -> None:
        await chat.note("\n".join(lines))

    chat.with_agent(work, then=found)
