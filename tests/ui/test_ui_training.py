"""A retraining seen from the app: started, shown, held while he speaks, ended, asked about when leaving."""

from typing import Any

import pytest
from fake_agent import FakeAgent, FakeRetraining, progress_of, training_kind

from distill.progress import write_progress
from memory.home import Home
from molting_agent.ui.screens.confirm import Confirm
from molting_agent.ui.status import StatusLine


def status_of(s: Any) -> str:
    line = s.chat.query_one(StatusLine)
    return line.render().plain


async def started(s: Any, minutes: str = "") -> FakeRetraining:
    await s.ask(f"/retrain {minutes}".strip())
    await s.until(lambda: s.app.training.run is not None, "started")
    run: FakeRetraining = s.trainings.runs[-1]
    return run


async def test_retrain_starts_and_shows_its_progress(stage: Any) -> None:
    async with stage() as s:
        run = await started(s, "20")
        assert s.trainings.started == [{"minutes": 20.0, "resume": False, "recipe": ""}]
        run.now = progress_of()
        await s.until(lambda: "training 62%" in status_of(s))
        assert "6 min left" in status_of(s)
        await s.ask("/retrain")
        assert s.notes[-1] == "A retraining is under way already; /stop stops it."
        assert len(s.trainings.runs) == 1


async def test_a_cut_off_run_goes_on_from_its_checkpoint(stage: Any, home: Home) -> None:
    write_progress(home.training_dir, progress_of(state="cancelled"))
    async with stage() as s:
        await started(s)
        assert s.trainings.started == [{"minutes": None, "resume": True, "recipe": ""}]
        await s.until(lambda: "checkpoint" in s.notes[-1])


async def test_a_refused_start_is_one_line(stage: Any) -> None:
    async with stage(trainings=training_kind(refusal="a retraining is under way in this home already")) as s:
        await s.ask("/retrain")
        await s.until(lambda: s.notes)
        assert s.notes == ["a retraining is under way in this home already"]
        assert not s.app.training.running


async def test_it_is_held_while_he_speaks(stage: Any) -> None:
    agent = FakeAgent(replies=["one two"], paced=True)
    async with stage(agent) as s:
        run = await started(s)
        run.now = progress_of()
        s.chat.prompt.put("hello")
        s.chat.prompt.action_send()
        await s.until(lambda: run.calls == ["pause"])
        await s.until(lambda: "paused while he speaks" in status_of(s))
        agent.words.release(2)
        await s.until(lambda: run.calls == ["pause", "go_on"])
        await s.until(lambda: "6 min left" in status_of(s))


@pytest.mark.parametrize(
    ("code", "message", "words", "says"),
    [
        (
            0,
            "8.1 % better on held-out text.",
            "",
            "Molt 2 passed the gate and was promoted. 8.1 % better on held-out text.",
        ),
        (
            10,
            "The general score fell.",
            "",
            "Molt 2 did not pass the gate; the champion stays. The general score fell.",
        ),
        (11, "", "6 more approved replies are needed", "6 more approved replies are needed"),
        (12, "", "", "The retraining stopped with a checkpoint; /retrain goes on from there."),
        (1, "", "out of memory", "The retraining failed: out of memory"),
    ],
)
async def test_its_end_is_one_line(stage: Any, code: int, message: str, words: str, says: str) -> None:
    async with stage() as s:
        run = await started(s)
        run.now = progress_of(message=message) if code != 11 else None
        run.words = words
        run.code = code
        await s.until(lambda: not s.app.training.running)
        await s.until(lambda: s.notes[-1].startswith(says), s.notes[-1])
        assert "training" not in status_of(s)


async def test_stop_ends_a_training_when_he_is_silent(stage: Any) -> None:
    async with stage() as s:
        run = await started(s)
        await s.ask("/stop")
        assert run.calls == ["cancel"]
        assert "checkpoint" in s.notes[-1]


async def test_one_that_went_on_without_the_app_is_found(stage: Any) -> None:
    run = FakeRetraining()
    run.now = progress_of(state="judging")
    async with stage(trainings=training_kind(attached=run)) as s:
        await s.until(lambda: "judging" in status_of(s))


@pytest.mark.parametrize(("keys", "calls"), [(["enter"], []), (["down", "enter"], ["cancel"]), (["ctrl+q"], [])])
async def test_leaving_asks_whether_it_goes_on(stage: Any, keys: list[str], calls: list[str]) -> None:
    async with stage() as s:
        run = await started(s)
        run.now = progress_of()
        await s.until(lambda: "62%" in status_of(s))
        await s.pilot.press("ctrl+q")
        await s.until(lambda: isinstance(s.app.screen, Confirm))
        assert "62% done" in s.app.screen.text
        await s.pilot.press(*keys)
        await s.until(lambda: s.app._exit)
        assert run.calls == calls
        assert s.app.return_value == 0


async def test_staying_is_an_answer(stage: Any) -> None:
    async with stage() as s:
        await started(s)
        await s.pilot.press("ctrl+q")
        await s.until(lambda: isinstance(s.app.screen, Confirm))
        await s.pilot.press("escape")
        await s.until(lambda: s.app.screen is s.chat)
        assert not s.app._exit


async def test_leaving_in_mid_reply_stops_him_and_lets_a_held_training_go_on(stage: Any) -> None:
    agent = FakeAgent(paced=True)
    async with stage(agent) as s:
        run = await started(s)
        s.chat.prompt.put("hello")
        s.chat.prompt.action_send()
        await s.until(lambda: run.calls == ["pause"])
        await s.pilot.press("ctrl+q", "ctrl+q")
        await s.until(lambda: s.app._exit)
        assert run.calls == ["pause", "go_on"]
        assert agent._stop.is_set()


async def test_ctrl_q_leaves_at_once_when_nothing_trains(stage: Any) -> None:
    async with stage() as s:
        await s.pilot.press("ctrl+q")
        await s.until(lambda: s.app._exit)


async def test_ctrl_c_stops_him_and_twice_leaves(stage: Any) -> None:
    agent = FakeAgent(paced=True)
    async with stage(agent) as s:
        s.chat.prompt.put("hello")
        s.chat.prompt.action_send()
        await s.until(lambda: s.replies)
        await s.pilot.press("ctrl+c")
        await s.until(lambda: not s.chat.turns.busy)
        assert not s.app._exit
        await s.pilot.press("ctrl+c")
        await s.until(lambda: s.app._exit)


async def test_quit_is_a_command_too(stage: Any) -> None:
    async with stage() as s:
        await s.ask("/quit")
        await s.until(lambda: s.app._exit)
