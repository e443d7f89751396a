"""The layout at three sizes: nothing overlaps, nothing is cut off, the prompt can always be typed into."""

from typing import Any

import pytest
from fake_agent import FakeAgent, progress_of

from molting_agent.ui.conversation import Conversation
from molting_agent.ui.header import HeaderLine
from molting_agent.ui.status import StatusLine

SIZES = [(60, 20), (100, 30), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
async def test_chat_rows_add_up(stage: Any, size: tuple[int, int]) -> None:
    width, height = size
    async with stage(FakeAgent(replies=["word " * 200]), size=size) as s:
        await s.ask("hello")
        await s.pilot.pause(0.1)
        header, status = s.chat.query_one(HeaderLine).region, s.chat.query_one(StatusLine).region
        stage_region, entry = s.chat.query_one("#stage").region, s.chat.query_one("#entry").region
        assert header.y == 0
        assert stage_region.y == header.bottom
        assert entry.y == stage_region.bottom
        assert status.y == entry.bottom
        assert status.bottom == height
        assert {header.width, stage_region.width, entry.width, status.width} == {min(width, 124)}
        assert stage_region.height >= height - 6
        reply = s.replies[0]
        assert reply.region.right <= stage_region.right
        said = reply.query_one(".said").region
        assert said.width >= 50
        assert s.chat.conversation.at_end


@pytest.mark.parametrize("size", SIZES)
async def test_speaker_stands_beside_or_above(stage: Any, size: tuple[int, int]) -> None:
    async with stage(size=size) as s:
        await s.ask("hello")
        who, said = s.replies[0].query_one(".who").region, s.replies[0].query_one(".said").region
        if size[0] < 76:
            assert said.y == who.bottom
            assert said.x == who.x
        else:
            assert said.y == who.y
            assert said.x >= who.right


@pytest.mark.parametrize("size", SIZES)
async def test_a_long_draft_never_pushes_the_conversation_away(stage: Any, size: tuple[int, int]) -> None:
    async with stage(size=size) as s:
        s.chat.prompt.put("\n".join(str(line) for line in range(50)))
        await s.pilot.pause()
        assert s.chat.prompt.region.height <= 8
        assert s.chat.query_one(Conversation).region.height >= 6
        assert s.chat.query_one(StatusLine).region.bottom == size[1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", ["f1", "f2", "f3", "f4"])
async def test_screens_fit(stage: Any, size: tuple[int, int], key: str) -> None:
    async with stage(size=size) as s:
        await s.pilot.press(key)
        await s.pilot.pause(0.2)
        keys = s.app.screen.query_one("#keys").region
        assert keys.bottom == size[1]
        assert keys.height == 1
        assert s.app.screen.max_scroll_y == 0
        if key in ("f2", "f3"):
            listing, reader = s.app.screen.query_one("OptionList").region, s.app.screen.query_one("#reader").region
            assert 1 <= listing.height <= size[1] // 2 or size[0] >= 90
            assert (reader.y >= listing.bottom) if size[0] < 90 else (reader.x >= listing.right)


@pytest.mark.parametrize("size", SIZES)
async def test_dialogs_fit(stage: Any, size: tuple[int, int]) -> None:
    async with stage(size=size) as s:
        await s.ask("hello")
        await s.pilot.press("alt+up", "e")
        await s.pilot.pause(0.1)
        dialog = s.app.screen.query_one(".dialog").region
        assert dialog.x >= 0
        assert dialog.right <= size[0]
        assert dialog.bottom <= size[1]
        assert s.app.screen.query_one("TextArea").region.height >= 5


async def test_status_line_follows_a_resize(stage: Any) -> None:
    async with stage(size=(120, 30)) as s:
        await s.ask("hello")
        await s.app.training.start(None)
        await s.until(lambda: s.trainings.runs)
        s.trainings.runs[0].now = progress_of()
        line = s.chat.query_one(StatusLine)
        await s.until(lambda: "training 62%" in line.render().plain)
        assert "F1" in line.render().plain
        await s.pilot.resize_terminal(60, 20)
        await s.pilot.pause()
        assert "F1" not in line.render().plain
        assert "training 62%" in line.render().plain
        await s.pilot.resize_terminal(50, 20)
        await s.pilot.pause()
        assert "molting 62%" in line.render().plain
