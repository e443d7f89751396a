"""The heartbeat: its list, its hours, one round over the real agent, and the one log of what was done alone."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from memory.errors import UsageError
from memory.files import file_lock
from memory.home import Home
from molting_agent.agent import Agent
from molting_agent.alone_log import deed_line, deeds, write_deed
from molting_agent.config import Config, HeartbeatSettings, MemorySettings
from molting_agent.events import ToolFinished
from molting_agent.heartbeat import in_active_hours, is_due, items, last_round, run_round
from molting_agent.identity import create_home
from molting_agent.runtime.echo import EchoEngine

NOON = datetime(2026, 2, 8, 12, 0).astimezone()


def test_open_bullets_are_the_list() -> None:
    text = "# Title\n\n- the backups\n- [x] done\n* [ ] the boiler\n1. third\nprose\n<!-- - no\n-->\n  - nested\n-\n"
    assert items(text) == ["the backups", "the boiler", "third", "nested"]
    assert items("") == []
    assert len(items("- x\n" * 99)) == 8


@pytest.mark.parametrize(
    ("start", "end", "hour", "wanted"), [(8, 22, 8, True), (8, 22, 22, False), (22, 6, 23, True), (22, 6, 12, False)]
)
def test_active_hours(start: int, end: int, hour: int, wanted: bool) -> None:
    settings = HeartbeatSettings(on=True, from_hour=start, to_hour=end)
    assert in_active_hours(settings, NOON.replace(hour=hour)) is wanted


def test_a_round_is_due_only_when_it_is_on_and_the_last_one_is_long_ago() -> None:
    on = HeartbeatSettings(on=True, every_minutes=60)
    assert not is_due(HeartbeatSettings(), None, NOON)
    assert is_due(on, None, NOON)
    assert not is_due(on, NOON - timedelta(minutes=59), NOON)
    assert is_due(on, NOON - timedelta(minutes=60), NOON)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    create_home(home)
    return home


def maker(home: Home, reply: str | Callable[[str], str]) -> Callable[[], Agent]:
    config = Config(memory=MemorySettings(k=0))
    return lambda: Agent(home, config, open_engine=lambda _model, _adapter: EchoEngine(reply))


def test_an_empty_list_costs_no_model(home: Home) -> None:
    def never() -> Agent:
        raise AssertionError("a model was loaded for nothing")

    assert [deed.kind for deed in run_round(home, never, lambda: NOON)] == ["skipped"]
    (home.root / "HEARTBEAT.md").write_text("# Nothing here\n")
    assert run_round(home, never, lambda: NOON)[0].text == "HEARTBEAT.md is empty"
    assert last_round(home) == NOON


def test_each_item_is_answered_in_the_log_and_nowhere_else(home: Home) -> None:
    (home.root / "HEARTBEAT.md").write_text("- the backups\n- the boiler\n")
    replies = iter(["All three ran.\x1b[2J", "HEARTBEAT_OK"])
    found = run_round(home, maker(home, lambda _prompt: next(replies)), lambda: NOON)
    assert [(deed.kind, deed.about, deed.text) for deed in found] == [
        ("heartbeat", "the backups", "All three ran."),
        ("heartbeat", "the boiler", "nothing to say"),
    ]
    assert deeds(home) == found
    assert "the backups: All three ran." in deed_line(found[0])
    assert list(home.sessions_dir.glob("*.jsonl")) == []


ITEMS = """
- read plan.txt
- recall where the spare key is
- write 'hello' to new.txt
- run `touch ran.txt`
- remember that Rui likes tea
- forget the spare key
- read ../outside.txt
"""
ARGUMENTS = {
    "read plan": {"path": "plan.txt"},
    "recall": {"query": "spare key"},
    "write": {"path": "new.txt", "text": "hello"},
    "run": {"command": "touch ran.txt"},
    "remember": {"text": "Rui likes tea"},
    "forget": {"what": "the spare key"},
    "read ..": {"path": "../outside.txt"},
}


@pytest.fixture
def folder(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file in it and one beside it; the memory knows where the key is."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "plan.txt").write_text("Paint the boat on Saturday.\n")
    (tmp_path / "outside.txt").write_text("nobody's business\n")
    home.memory_file.write_text("# MEMORY\n\n- The spare key is with Marta.\n")
    monkeypatch.chdir(folder)
    return folder


def test_a_round_looks_with_its_tools_and_does_nothing_that_needs_consent(home: Home, folder: Path) -> None:
    (home.root / "HEARTBEAT.md").write_text(ITEMS)
    before = home.memory_file.read_bytes()
    engines: list[EchoEngine] = []

    def reply(asked: str) -> str:
        if not asked.startswith("Person: "):
            return "I looked."
        return json.dumps(next(value for start, value in ARGUMENTS.items() if asked.startswith(f"Person: {start}")))

    def make() -> Agent:
        engines.append(EchoEngine(reply))
        agent = Agent(home, Config(memory=MemorySettings(k=0)), open_engine=lambda _model, _adapter: engines[-1])
        agent.consent = lambda _proposal: "once"  # even where somebody would say yes
        return agent

    found = run_round(home, make, lambda: NOON)
    assert [(deed.kind, deed.text) for deed in found] == [("heartbeat", "I looked.")] * 7
    prompts = ["".join(segment.text for segment in request) for request in engines[0].requests]
    assert "- Paint the boat on Saturday." in prompts[0]
    assert "The spare key is with Marta." in prompts[1]
    assert sorted(path.name for path in folder.iterdir()) == ["plan.txt"]
    assert home.memory_file.read_bytes() == before
    assert deeds(home) == found
    assert list(home.sessions_dir.glob("*.jsonl")) == []


@pytest.mark.slow
def test_a_round_with_the_model_itself(
    make_home: Callable[..., Home], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home()
    create_home(home)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.txt").write_text("Paint the boat on Saturday.\n")
    home.memory_file.write_text("# MEMORY\n\n- The spare key is with Marta.\n")
    (home.root / "HEARTBEAT.md").write_text(
        "- read plan.txt\n- recall where the spare key is\n- write 'x' to new.txt\n"
    )
    before = home.memory_file.read_bytes()
    seen: list[tuple[str, str]] = []

    class Watched(Agent):
        def turn(self, text: str, **options: Any) -> Any:
            for event in super().turn(text, **options):
                if isinstance(event, ToolFinished):
                    seen.append((event.use.name, event.use.result))
                yield event

    found = run_round(home, lambda: Watched(home, Config()), lambda: NOON)
    assert [deed.kind for deed in found] == ["heartbeat"] * 3
    assert ("read_file", "Paint the boat on Saturday.") in seen
    assert any(name == "recall" and "Marta" in result for name, result in seen)
    assert {name for name, _ in seen} <= {"read_file", "recall"}
    assert not (tmp_path / "new.txt").exists()
    assert home.memory_file.read_bytes() == before


def test_two_rounds_never_run_at_once(home: Home) -> None:
    with file_lock(home.cache_dir / "heartbeat.lock"), pytest.raises(UsageError, match="under way"):
        run_round(home, maker(home, "x"), lambda: NOON)


def test_a_damaged_log_keeps_its_good_lines(home: Home) -> None:
    write_deed(home, "memory", "", "one", NOON)
    with (home.logs_dir / "alone.jsonl").open("a") as file:
        file.write('{"torn": \nnot json\n{"at": "x"}\n')
    write_deed(home, "memory", "", "two", NOON)
    assert [deed.text for deed in deeds(home)] == ["one", "two"]
