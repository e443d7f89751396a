"""A retraining that passes the gate waits for the person: old and new side by side, one is kept, one key goes back."""

from typing import Any

from fake_agent import progress_of
from real_stage import write_molt
from textual.widgets import Static

from distill.registry import Registry
from molting_agent.runtime.models import EMBEDDED_SHA256
from molting_agent.ui.screens.ceremony import CeremonyScreen


async def passes_the_gate(s: Any, number: int = 7) -> Registry:
    """A retraining runs, files molt ``number``, promotes it and ends."""
    await s.app.training.start(None)
    await s.until(lambda: s.app.training.run is not None)
    run = s.app.training.run
    run.now = progress_of(molt=number)
    await s.until(lambda: s.app.agent.speaker.holds)
    write_molt(s.app.home, number)
    registry = Registry(s.app.home.molts_dir)
    registry.promote(number, EMBEDDED_SHA256)
    run.code = 0
    await s.until(lambda: not s.app.training.running)
    return registry


def page(s: Any) -> str:
    return "\n".join(str(static.render()) for static in s.app.screen.query(Static))


async def test_the_old_one_is_kept(real: Any) -> None:
    async with real() as s:
        await s.ask("hello")
        registry = await passes_the_gate(s)
        await s.until(lambda: isinstance(s.app.screen, CeremonyScreen))
        assert s.app.agent.status.molt == 1
        for words in ("molt 1 → molt 7", "Question 2?", "old 0", "new 2", "1.400 -> 1.300"):
            assert words in page(s)
        assert "\x1b" not in page(s)
        await s.pilot.press("o")
        await s.until(lambda: "Molt 1 goes on speaking." in s.notes)
        assert registry.champion(EMBEDDED_SHA256).number == 1
        assert s.app.agent.status.molt == 1
        diary = (s.app.home.root / "MOLTS.md").read_text()
        assert "the person kept molt 1 over molt 7" in diary


async def test_the_new_one_is_kept_in_mid_draft_and_one_command_goes_back(real: Any) -> None:
    async with real() as s:
        await s.ask("hello")
        s.chat.prompt.put("a draft")
        await passes_the_gate(s)
        await s.until(lambda: any("/ceremony compares" in note for note in s.notes))
        assert s.app.screen is s.chat
        assert s.app.agent.status.molt == 1
        s.app.choice.open(7)
        await s.until(lambda: isinstance(s.app.screen, CeremonyScreen))
        await s.pilot.press("n")
        await s.until(lambda: "molt 1 → molt 7   From here on molt 7 speaks." in s.notes)
        assert s.chat.prompt.text == "a draft"
        assert len(s.questions) == 1
        s.chat.prompt.clear()
        await s.ask("and now?")
        assert s.app.agent.session.turns[-1].molt == 7
        await s.ask("/rollback")
        await s.until(lambda: "molt 7 → molt 1   From here on molt 1 speaks." in s.notes)


async def test_later_is_an_answer_and_he_goes_on_meanwhile(real: Any) -> None:
    async with real() as s:
        await passes_the_gate(s)
        await s.until(lambda: isinstance(s.app.screen, CeremonyScreen))
        await s.pilot.press("escape")
        await s.until(lambda: s.app.screen is s.chat)
        await s.ask("who speaks?")
        assert s.app.agent.session.turns[-1].molt == 1
        await s.ask("/ceremony")
        await s.until(lambda: isinstance(s.app.screen, CeremonyScreen))


async def test_narrow_terminals_show_one_above_the_other(real: Any) -> None:
    for size, beside in (((60, 20), False), ((100, 30), True)):
        async with real(size=size) as s:
            write_molt(s.app.home, 7)
            s.app.choice.open(7)
            await s.until(lambda: isinstance(s.app.screen, CeremonyScreen))
            first, second = list(s.app.screen.query(".answer"))[:2]
            assert (first.region.y == second.region.y) is beside


async def test_a_pinned_molt_is_said_and_released(real: Any) -> None:
    async with real() as s:
        registry = Registry(s.app.home.molts_dir)
        await s.pilot.press("f3")
        await s.until(lambda: s.app.screen.query("#said") and "speaks" in page(s))
        await s.pilot.press("n")
        await s.until(lambda: "molt 1 speaks, pinned" in page(s))
        assert registry.is_pinned(EMBEDDED_SHA256)
        await s.pilot.press("n")
        await s.until(lambda: "pinned" not in str(s.app.screen.query_one("#said").render()))
        assert not registry.is_pinned(EMBEDDED_SHA256)


async def test_a_training_is_paused_and_goes_on_at_the_persons_word(real: Any) -> None:
    async with real() as s:
        await s.ask("/pause")
        assert s.notes[-1] == "No retraining is under way."
        await s.app.training.start(None)
        await s.until(lambda: s.app.training.run is not None)
        run = s.app.training.run
        run.now = progress_of()
        await s.ask("/pause")
        await s.until(lambda: "paused" in s.chat.status.render().plain)
        await s.ask("hello")
        assert run.calls.count("go_on") == 0
        await s.ask("/pause")
        assert run.calls[-1] == "go_on"
