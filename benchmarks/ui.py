"""The app in use: first paint, key to echo while he speaks and learns, a long conversation, and a day of talk.

.venv/bin/python benchmarks/ui.py [paint] [keys] [long] [day]
"""

import asyncio
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from common import print_table, ratios, spread
from terminal import ECHOES, PATIENCE_S, Terminal

from memory.home import Home
from molting_agent.agent import Agent
from molting_agent.commands.demo import furnish
from molting_agent.config import Config, MemorySettings
from molting_agent.events import ReplyDelta, ReplyFinished, ReplyStarted, UserSaved
from molting_agent.runtime.echo import EchoEngine
from molting_agent.runtime.models import embedded_model
from molting_agent.session import Session
from molting_agent.ui.app import MoltingApp
from molting_agent.ui.messages import AgentEvent, TurnEnded

Rows = list[tuple[str, str, str]]
PROMPT = "sk him something"  # the cursor stands on the first letter
# What of Textual the app loads before its first paint; the widgets are loaded by name.
AFTER_TEXTUAL = """
print("BEGUN", flush=True)
import sys, textual.app, textual.screen, textual.command, textual.theme
from textual.widgets import Input, Label, Markdown, OptionList, Static, TextArea
print("IMPORTED", flush=True)
from molting_agent.cli import main
main(["--home", sys.argv[1]])
"""
KEYS = 120
TURNS = 2_000
DELTAS_A_DAY = 8 * 3600 * 10
DELTAS_A_REPLY = 300
DELTAS_A_FLUSH = 30


def app_command(home: Home) -> list[str]:
    return [sys.executable, "-m", "molting_agent", "--home", str(home.root)]


def paint(home: Home) -> Rows:
    """From the end of Textual's imports to the prompt on the screen, in a process of its own each."""
    times, imports = [], []
    for _ in range(6):
        terminal = Terminal([sys.executable, "-c", AFTER_TEXTUAL, str(home.root)])
        terminal.until("BEGUN")
        imports.append(terminal.until("IMPORTED"))
        times.append(terminal.until(PROMPT))
        terminal.close()
        time.sleep(1)  # its worker leaves by itself
    return [
        ("first paint after the imports of Textual", f"{spread(times[1:])} s", "0.5 s"),
        ("against these imports, which tell how fast the machine is", spread(ratios(times[1:], imports[1:])), ""),
    ]


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def typed(terminal: Terminal, *, while_speaking: bool) -> list[float | None]:
    """Echo times of KEYS letters; with ``while_speaking`` those typed while a reply streams, asked for again."""
    times: list[float | None] = []
    asked_at = -1e9
    tries = 0
    while len(times) < KEYS and tries < 20 * KEYS:
        tries += 1
        if while_speaking and b"Esc stops" not in terminal.screen[-4000:]:
            if time.perf_counter() - asked_at > 20:
                terminal.send("\x15Tell me a long story about the sea and the people who live by it.\r")
                asked_at = time.perf_counter()
            terminal.read(0.05)
            continue
        times.append(terminal.echo(ECHOES[len(times) % len(ECHOES)]))
        if len(times) % 20 == 0:
            terminal.send("\x15")
        if while_speaking:
            mark = len(terminal.screen)
            terminal.read(0.15)
            if b"stops" not in terminal.screen[mark - 2000 :]:
                terminal.screen += b"\0" * 4000  # he is silent: what was painted before does not count
        else:
            terminal.read(0.05)
    terminal.send("\x15")
    return times


def keys(home: Home) -> Rows:
    """Key to echo on the real app with the real model: idle, beside a retraining, and while a reply streams too."""
    terminal = Terminal(app_command(home))
    try:
        terminal.until("SmolLM2")
        time.sleep(8)  # he wakes up, and the memory is loaded
        terminal.read(0.5)
        found = {"idle": typed(terminal, while_speaking=False)}
        terminal.send("\x15/retrain 20\r")
        terminal.until("training", patience_s=240)
        found["a retraining runs"] = typed(terminal, while_speaking=False)
        found["a reply streams, the retraining waits for it"] = typed(terminal, while_speaking=True)
        terminal.send("\x15/stop\r")
        terminal.read(2)
    finally:
        terminal.close()
    rows: Rows = []
    for what, all_times in found.items():
        times = [one * 1000 for one in all_times if one is not None]
        rows.append(
            (
                f"key to echo, {what}: median, p99 of {len(all_times)} keys",
                f"{statistics.median(times):.0f}, {percentile(times, 0.99):.0f} ms",
                "p99 50 ms",
            )
        )
        rows.append((f"keys never painted, {what}", str(len(all_times) - len(times)), "0"))
    return rows


def write_long(home: Home) -> None:
    """A conversation of TURNS messages as his newest one."""
    session = Session(home.sessions_dir)
    for number in range(0, TURNS, 2):
        session.add_user(f"Question {number}: what did we say about the harbour, and who was there?")
        text = (
            f"Answer {number + 1}. We said **that** the boats come back at six.\n\n- Marta\n- Rui\n\n`tide({number})`"
        )
        session.add_reply(
            session.new_message_id(),
            text,
            molt=1,
            base_sha256="x",
            model="SmolLM2-135M",
            memories=[],
            stopped=False,
            usage={},
        )


def long_conversation(home: Home) -> Rows:
    """Opening it and a hundred times PageUp, in the app itself; its own seconds of CPU tell what other work adds."""
    write_long(home)
    opened, pages = asyncio.run(scrolled(home))
    return [
        (f"a conversation of {TURNS:,} messages opens", spread([wall for wall, _ in opened]), "1 s"),
        ("its CPU seconds", spread([cpu for _, cpu in opened]), ""),
        (f"PageUp, until the view moved: median, slowest of {len(pages)}", worst([wall for wall, _ in pages]), ""),
        ("its CPU seconds", worst([cpu for _, cpu in pages]), ""),
        ("PageUp that moved nothing", str(sum(wall >= PATIENCE_S for wall, _ in pages)), "0"),
    ]


def worst(values: Sequence[float]) -> str:
    """Median and the largest."""
    return f"{statistics.median(values):.2f}, {max(values):.2f}"


def quiet_agent(home: Home) -> Agent:
    config = Config(memory=MemorySettings(k=0))
    return Agent(home, config, open_engine=lambda _model, _adapter: EchoEngine("I see."))


async def scrolled(home: Home, presses: int = 100) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Seconds on the wall and of CPU: for opening it five times, and for each press until the view has moved."""
    app = MoltingApp(home, Config(), make_agent=lambda: quiet_agent(home))
    async with app.run_test(size=(110, 32)) as pilot:
        while not app.ready:
            await pilot.pause(0.05)
        await pilot.pause(2.0)  # the new conversation is taken in
        view, opened, pages = app.chat.conversation, [], []
        for _ in range(5):
            app.chat.new_session()
            while view.blocks:
                await pilot.pause(0.02)
            began = time.perf_counter(), time.process_time()
            app.chat.resume("last")
            while not view.blocks or not view.at_end:
                await pilot.pause(0.02)
            await pilot.pause()
            opened.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        for _ in range(presses):
            before = (app.chat.history.start, view.scroll_offset.y)
            began = time.perf_counter(), time.process_time()
            await pilot.press("pageup")
            while (app.chat.history.start, view.scroll_offset.y) == before:
                if time.perf_counter() - began[0] > PATIENCE_S:
                    break
                await pilot.pause(0.01)
            pages.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        if app.agent:
            app.agent.close()
    return opened, pages


def resident_mib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


async def talked(home: Home) -> list[float]:
    """MiB resident at each quarter of as many deltas as eight hours at 10 Hz have; one more value for the beginning."""
    app = MoltingApp(home, Config(), make_agent=lambda: quiet_agent(home))
    word = "The tide **comes** back at six, and `Rui` waits. "
    async with app.run_test(size=(110, 32)) as pilot:
        while not app.ready:
            await pilot.pause(0.05)
        sizes: list[float] = []
        for number in range(DELTAS_A_DAY // DELTAS_A_REPLY):
            if number in (20, *(DELTAS_A_DAY // DELTAS_A_REPLY * quarter // 4 for quarter in (1, 2, 3))):
                sizes.append(resident_mib())
            app.post_message(AgentEvent(UserSaved(f"u{number}", f"Question {number}?")))
            app.post_message(AgentEvent(ReplyStarted(f"a{number}", 1)))
            for start in range(0, DELTAS_A_REPLY, DELTAS_A_FLUSH):
                for delta in range(start, start + DELTAS_A_FLUSH):
                    piece = word[delta % 8 * 6 : delta % 8 * 6 + 6]
                    app.post_message(AgentEvent(ReplyDelta(piece if delta % 40 else f"\n\n{piece}")))
                await pilot.pause()
                if app.chat.reply is not None:
                    await app.chat.reply.flush()
            text = app.chat.reply.text if app.chat.reply is not None else ""
            finished = ReplyFinished(f"a{number}", text, 1, "stop", 100, 0, DELTAS_A_REPLY, 0.1, 1.0, 10.0, True, ())
            app.post_message(AgentEvent(finished))
            app.post_message(TurnEnded(""))
            await pilot.pause()
        sizes.append(resident_mib())
        if app.agent:
            app.agent.close()
    return sizes


def day(home: Home) -> Rows:
    """The same number of deltas as eight hours have, as fast as they can be drawn."""
    sizes = asyncio.run(talked(home))
    said = ", ".join(f"{size:.0f}" for size in sizes)
    grown = sizes[-1] / sizes[1] - 1
    return [
        (f"MiB resident after 20 replies and each quarter of {DELTAS_A_DAY:,} deltas", said, ""),
        ("growth from the first quarter to the last", f"{grown:+.1%}", "flat"),
    ]


def main() -> None:
    wanted = sys.argv[1:] or ["paint", "keys", "long", "day"]
    parts = {"paint": paint, "keys": keys, "long": long_conversation, "day": day}
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="molting-bench-ui-") as folder:
            home = Home(Path(folder))
            furnish(home)
            embedded_model(home)
            print_table(name, parts[name](home))


if __name__ == "__main__":
    main()
