"""The conversation: blocks in order, a view that follows the end only while it is there, boundedly many widgets."""

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import VerticalGroup, VerticalScroll
from textual.message import Message

from molting_agent.ui.block import Block
from molting_agent.ui.note_block import NoteBlock
from molting_agent.ui.welcome import Welcome

MAX_BLOCKS = 160
"""More blocks than this are unmounted at the top (they are in the transcript), so that a long day stays quick."""


class Conversation(VerticalScroll, can_focus=False):
    """A scrolling list of blocks."""

    class Moved(Message):
        """The view moved or grew; ``unseen`` blocks lie below it."""

        def __init__(self, unseen: int) -> None:
            super().__init__()
            self.unseen = unseen

    class EarlierWanted(Message):
        """The view reached its top while older turns are not shown."""

    def __init__(self, welcome: Welcome) -> None:
        super().__init__(id="conversation")
        self.list = VerticalGroup(id="blocks")
        self.welcome = welcome
        self.unseen = 0
        self.has_earlier = False
        self.following = True
        """The view stays at the end when something is added."""

    def compose(self) -> ComposeResult:
        with self.list:
            yield self.welcome

    def on_mount(self) -> None:
        self.anchor()

    @property
    def blocks(self) -> list[Block]:
        """The blocks on display, oldest first."""
        return list(self.list.query_children(Block))

    @property
    def at_end(self) -> bool:
        """The newest line is in view."""
        return self.scroll_offset.y >= self.max_scroll_y

    async def add(self, block: Block, *, before: Block | None = None, counts: bool = True) -> None:
        """Append a block (or put it before another); a reader who scrolled up keeps his place and sees the pill."""
        self.welcome.display = False
        self.settle()
        await self.list.mount(block, before=before)
        if self.following:
            await self._prune()
        elif counts:
            self.unseen += 1
            self.post_message(self.Moved(self.unseen))

    async def cut_after(self, block: Block | None) -> None:
        """Take away what stands below a block (None: everything); the transcript keeps it as a branch."""
        blocks = self.blocks
        below = blocks[blocks.index(block) + 1 :] if block is not None else blocks
        for one in below:
            await one.remove()
        self.unseen = 0
        self.post_message(self.Moved(0))

    async def note(self, text: str, kind: str = "information") -> None:
        """Append a line of the app itself."""
        await self.add(NoteBlock(text, kind))

    async def fill(self, blocks: Sequence[Block], *, has_earlier: bool) -> None:
        """Show another conversation from its end."""
        self.unseen = 0
        self.has_earlier = has_earlier
        with self.app.batch_update():
            await self.list.query_children(Block).remove()
            self.welcome.display = not blocks
            await self.list.mount_all(blocks)
        self.following = True
        self.anchor()
        self.post_message(self.Moved(0))

    async def prepend(self, blocks: Sequence[Block], *, has_earlier: bool) -> None:
        """Put older blocks above the first one and keep the view on what it showed."""
        self.has_earlier = has_earlier
        height, offset = self.virtual_size.height, self.scroll_offset.y
        first = self.blocks[0] if self.blocks else None
        await self.list.mount_all(blocks, before=first)

        def keep_place() -> None:
            self.scroll_to(y=offset + self.virtual_size.height - height, animate=False, immediate=True)

        self.call_after_refresh(keep_place)

    def newest(self) -> None:
        """Go to the end and follow it again."""
        self.unseen = 0
        self.following = True
        self.anchor()
        self.scroll_end(animate=False)
        self.post_message(self.Moved(0))

    def walk(self, step: int, back_to_prompt: Callable[[], object]) -> None:
        """Move the block cursor by ``step``; past the last block it goes back to the prompt."""
        blocks = [block for block in self.blocks if block.display]
        focused = self.screen.focused
        here = blocks.index(focused) if isinstance(focused, Block) and focused in blocks else len(blocks)
        there = here + step
        if there >= len(blocks):
            back_to_prompt()
        elif blocks:
            self.release_anchor()
            blocks[max(0, there)].focus()

    def release_anchor(self) -> None:
        """Textual calls this when the reader scrolls; nothing is released while there is nothing to scroll."""
        if self.max_scroll_y > 0:
            super().release_anchor()
            self.following = False

    def hold_still(self) -> None:
        """A block is about to grow where the reader looks: stay there, although the view was at the end."""
        super().release_anchor()
        self.following = False

    def settle(self) -> None:
        """Follow again when the reader is back at the end, or tried to scroll beyond; called before growth."""
        if self.following or not self.at_end or isinstance(self.screen.focused, Block):
            return
        self.following = True
        self.anchor()
        if self.unseen:
            self.unseen = 0
            self.post_message(self.Moved(0))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.settle()
        if new_value <= 0 < old_value and self.has_earlier:
            self.post_message(self.EarlierWanted())

    async def _prune(self) -> None:
        blocks = self.blocks
        if len(blocks) <= MAX_BLOCKS:
            return
        self.has_earlier = True
        for block in blocks[: len(blocks) - MAX_BLOCKS // 2]:
            if block.has_focus:
                break
            await block.remove()
