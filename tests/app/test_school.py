"""The school's commands run by molt: what they print comes back, their errors are molt's own, whatever ends them."""

from pathlib import Path

import pytest

from memory.errors import MoltingError, UsageError
from molting_agent.commands.school import run_school


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A module that stands where the school stands; what it does is written into it."""
    package = tmp_path / "distill"
    package.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return package / "__main__.py"


def test_what_it_prints_comes_back_and_what_it_says_is_passed_on(
    child: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child.write_text("import sys\nprint('{}')\nprint('phase \\x1b]52;c;eA==\\x07 one', file=sys.stderr)\n")
    assert run_school("lab", "ls", show_log=True) == "{}"
    assert capsys.readouterr().err == "phase  one\n"
    assert run_school("lab", "ls") == "{}"
    assert capsys.readouterr().err == ""


def test_much_of_both_and_empty_lines_come_whole(child: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child.write_text(
        "import sys\n"
        "print('a\\n\\nb' + 'x' * 300_000)\n"
        "sys.stdout.flush()\n"
        "print('10%\\r50%\\r100%', file=sys.stderr)\n"
    )
    assert run_school("lab", "report", show_log=True) == "a\n\nb" + "x" * 300_000
    assert capsys.readouterr().err == "100%\n"


@pytest.mark.parametrize(
    ("ends", "kind", "code", "said"),
    [
        ("print('distill: no such experiment', file=sys.stderr); sys.exit(2)", UsageError, 2, "no such experiment"),
        ("print('distill: stopped; go on', file=sys.stderr); sys.exit(12)", MoltingError, 12, "stopped; go on"),
        ("sys.exit(5)", MoltingError, 5, "export failed (exit code 5)"),
        ("import os; os.kill(os.getpid(), 9)", MoltingError, 1, "export failed (signal 9)"),
        ("print('Killed', file=sys.stderr); sys.exit(1)", MoltingError, 1, "(exit code 1: Killed)"),
    ],
)
def test_its_end_is_an_error_in_one_line(child: Path, ends: str, kind: type[Exception], code: int, said: str) -> None:
    child.write_text(f"import sys\n{ends}\n")
    with pytest.raises(kind) as caught:
        run_school("export")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, MoltingError)
    assert caught.value.exit_code == code
