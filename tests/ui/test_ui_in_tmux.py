"""A home's whole life in a real terminal, driven by tmux: first run, talk, memory, a molt, its ceremony, and back."""

import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distill.registry import Registry
from memory.home import Home
from molting_agent.runtime.models import EMBEDDED_SHA256

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed; apt-get install tmux")

CONVERSATIONS = Path(__file__).parents[1] / "fixtures" / "claudio"
TINY_RECIPE = """# A retraining in a minute or two: few rows, and a judge that asks little and is easily pleased.
epochs = 0.5
row_tokens = 512
conversation_tokens = 400
identity_share = 0.0
lora_rank = 4
heldout_share = 0.3
heldout_min = 1
heldout_max = 3
general_questions = 8
general_margin = 1.0
facts_questions = 0
judge_replies = 2
judge_reply_tokens = 12
style_prompts = 3
bootstrap = 200
checkpoint_s = 0.0
"""


class Terminal:
    """One tmux session with a shell in it; whatever the tests look at is what a person would see."""

    def __init__(self, socket: Path, size: tuple[int, int], environment: dict[str, str]) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        width, height = map(str, size)
        variables = [f"{name}={value}" for name, value in environment.items()]
        shell = ["env", *variables, "PS1=ready> ", "bash", "--norc", "--noprofile"]
        self._run("new-session", "-d", "-x", width, "-y", height, shlex.join(shell))

    def _run(self, *arguments: str) -> str:
        return subprocess.run([*self._tmux, *arguments], capture_output=True, text=True, check=True).stdout

    def keys(self, *keys: str) -> None:
        """Press keys by their tmux names."""
        self._run("send-keys", *keys)

    def type(self, text: str, *, enter: bool = True) -> None:
        """Type a text as it stands."""
        self._run("send-keys", "-l", text)
        if enter:
            time.sleep(0.2)  # a paste and the Enter after it are two things, as for a person
            self.keys("Enter")

    @property
    def screen(self) -> str:
        return self._run("capture-pane", "-p").rstrip()

    def mode(self, name: str) -> str:
        """A fact about the terminal, such as ``alternate_on``."""
        return self._run("display-message", "-p", f"#{{{name}}}").strip()

    def until(self, wanted: str, timeout_s: float = 120) -> str:
        """The screen once ``wanted`` (a pattern) stands on it."""
        end = time.monotonic() + timeout_s
        while not re.search(wanted, self.screen):
            assert time.monotonic() < end, f"{wanted!r} never came:\n{self.screen}"
            time.sleep(0.1)
        return self.screen

    def is_clean(self) -> bool:
        """No alternate screen, the cursor shown, the mouse free, and what is typed is seen and obeyed."""
        self.type("echo modes-$(stty -a | grep -cwe -echo -e -icanon)")
        modes = ("alternate_on", "mouse_any_flag", "mouse_all_flag", "mouse_button_flag", "keypad_flag")
        return (
            "modes-0" in self.until(r"modes-\d")
            and all(self.mode(mode) == "0" for mode in modes)
            and self.mode("cursor_flag") == "1"
        )

    def allow_clipboard(self) -> None:
        """Let programs set the clipboard, as most terminals do."""
        self._run("set-option", "-s", "set-clipboard", "on")

    @property
    def clipboard(self) -> str:
        return self._run("show-buffer")

    def close(self) -> None:
        self._run("kill-server")


@pytest.fixture
def open_terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """A terminal whose person has no logs of other programs; ``molt`` is this checkout's."""
    opened: list[Terminal] = []
    person = tmp_path / "person"
    person.mkdir()

    def make(size: tuple[int, int] = (80, 24), **environment: str) -> Terminal:
        variables = {
            "HOME": str(person),
            "CLAUDE_CONFIG_DIR": str(person),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "MOLTING_HOME": str(tmp_path / "home"),
            "TEXTUAL_ANIMATIONS": "none",
            **environment,
        }
        terminal = Terminal(tmp_path / f"tmux{len(opened)}", size, variables)
        opened.append(terminal)
        terminal.until("ready>")
        terminal.type(f'molt() {{ {shlex.quote(sys.executable)} -m molting_agent "$@"; }}')
        return terminal

    yield make
    for terminal in opened:
        terminal.close()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_from_the_first_run_to_a_molt_and_back(open_terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY_RECIPE)
    terminal = open_terminal()
    terminal.type("molt")
    terminal.until("moves in")
    terminal.type("Ana")
    terminal.type("English")
    time.sleep(1)  # the next field has the keys only once the screen was drawn
    terminal.keys("Enter")
    terminal.until("Written to USER.md")
    assert "Ana" in (home.identity_dir / "USER.md").read_text()

    terminal.type("Who are you?")
    terminal.until(r"Cláudio +\S.*(\n.*)*molt 1\s*\n", timeout_s=300)
    terminal.type("/remember The lighthouse keeper is called Zeferino.")
    terminal.until("remembered in MEMORY.md")
    assert "Zeferino" in home.memory_file.read_text()
    terminal.type("/recall who keeps the lighthouse")
    terminal.until(r"MEMORY\.md:\d+ +The lighthouse keeper is called")
    terminal.type(f"/ingest {CONVERSATIONS}")
    terminal.until("Nothing was changed yet")
    terminal.keys("C-s")
    terminal.until("Read in", timeout_s=300)
    terminal.keys("Escape")

    terminal.type("/promote 0")
    terminal.until("From here on the base speaks")
    terminal.type(f"/retrain {recipe}")
    terminal.until("training [0-9]+%|judging", timeout_s=600)
    terminal.until("the base → molt 2", timeout_s=1200)
    terminal.until("keep molt 2")
    terminal.keys("n")
    terminal.until("From here on molt 2 speaks")
    assert Registry(home.molts_dir).champion(EMBEDDED_SHA256).number == 2
    assert "the person kept molt 2 over the base" in (home.root / "MOLTS.md").read_text()
    terminal.type("And who are you now?")
    terminal.until(r" molt 2\s*\n", timeout_s=300)
    terminal.type("/rollback")
    terminal.until("molt 2 → the base")
    terminal.type("/quit")
    terminal.until("ready>$", timeout_s=60)
    assert terminal.is_clean()


def program(tmp_path: Path, more: str = "") -> str:
    """The command line of the same app over a made agent, since loading the model adds nothing to these."""
    file = tmp_path / "program.py"
    file.write_text(f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from fake_agent import FakeAgent, training_kind
from memory.home import Home
from molting_agent.ui.app import MoltingApp
home = Home(Path({str(tmp_path / "home")!r}))
home.make_folders()
app = MoltingApp(home, make_agent=FakeAgent, retraining=training_kind())
{more}
app.run()
""")
    return shlex.join([sys.executable, str(file)])


@pytest.mark.parametrize("way", ["/quit", "Ctrl+Q", "Ctrl+C twice", "SIGTERM", "a crash"])
def test_the_terminal_is_as_it_was(open_terminal: Callable[..., Terminal], tmp_path: Path, way: str) -> None:
    crash = "app.call_later(lambda: app.set_timer(0.3, lambda: 1 / 0))" if way == "a crash" else ""
    terminal = open_terminal()
    terminal.type(program(tmp_path, crash))
    if way != "a crash":
        terminal.until("F1 help")
        assert terminal.mode("alternate_on") == "1"
    if way == "/quit":
        terminal.type("/quit")
    elif way == "Ctrl+Q":
        terminal.keys("C-q")
    elif way == "Ctrl+C twice":
        terminal.keys("C-c")
        terminal.until("once more")
        terminal.keys("C-c")
    elif way == "SIGTERM":
        children = ["ps", "-o", "pid=", "--ppid", terminal.mode("pane_pid")]
        found = subprocess.run(children, capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(["kill", found[0]], check=True)
    terminal.until(r"ZeroDivisionError(.*\n)*ready>$" if way == "a crash" else "ready>$")
    assert terminal.is_clean()


def test_over_ssh_a_copy_goes_through_the_terminal(open_terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    terminal = open_terminal((60, 20), SSH_CONNECTION="192.0.2.1 1 192.0.2.2 22", DISPLAY=":9")
    terminal.allow_clipboard()
    terminal.type(program(tmp_path))
    terminal.until("molt 1")
    terminal.type("is it ok?")
    terminal.until("our line is 15")
    terminal.keys("M-Up")
    terminal.until(r"\+  -")
    terminal.keys("y")
    terminal.until("through the terminal")
    assert terminal.clipboard == "No. About **12 percent** is free, and our line is 15."
    terminal.keys("C-q")
    terminal.until("ready>$")


def test_a_dumb_terminal_is_told_what_else_there_is(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(TERM="dumb")
    terminal.type("molt")
    terminal.until("molt: this terminal cannot move its cursor")
