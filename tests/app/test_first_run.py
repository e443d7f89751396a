"""The first run and the demo: what is asked, what is written, and what the demo leaves."""

from pathlib import Path

from click.testing import CliRunner

from memory.home import Home
from molting_agent.cli import main
from molting_agent.first_run import found_logs, is_first_run, machine, met, user_text, write_user
from molting_agent.identity import create_home

TEMPLATE = '# USER\n\n- Call them: "you"; in notes, "my human"\n- Wants from me: honesty\n'


def test_answers_stand_in_user_md_and_nothing_else_moves() -> None:
    text = user_text(TEMPLATE, "Ana\x1b[31m \\1", "português")
    assert text == "# USER\n\n- Call them: Ana \\1\n- Wants from me: honesty\n- Speaks: português\n"
    assert user_text(text, "", "English").endswith("- Wants from me: honesty\n- Speaks: English\n")
    assert user_text(TEMPLATE, "", " ") == TEMPLATE


def test_a_person_is_greeted_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    create_home(home)
    assert is_first_run(home)
    assert write_user(home, "Ana", "") is True
    assert write_user(home, "", "") is False
    assert "Call them: Ana" in (home.identity_dir / "USER.md").read_text()
    met(home)
    assert not is_first_run(home)


def test_a_home_with_conversations_needs_no_greeting(tmp_path: Path) -> None:
    home = Home(tmp_path)
    create_home(home)
    (home.sessions_dir / "2026-02-08T10-00-00_abcdefgh.jsonl").write_text("{}\n")
    assert not is_first_run(home)


def test_logs_are_counted_and_not_read(tmp_path: Path) -> None:
    project = tmp_path / ".claude" / "projects" / "x"
    project.mkdir(parents=True)
    (project / "a.jsonl").write_text("not even json")
    (project / "b.png").write_text("x")
    assert [(one.folder.name, one.files) for one in found_logs({"HOME": str(tmp_path)})] == [("projects", 1)]
    assert found_logs({"HOME": str(tmp_path / "nobody")}) == []


def test_the_machine_is_said_in_one_line() -> None:
    assert machine().cores >= 1
    assert "core" in machine().line


def test_the_demo_is_a_furnished_home_that_the_other_commands_take(tmp_path: Path) -> None:
    target = tmp_path / "demo"
    done = CliRunner().invoke(main, ["demo", "--keep", str(target)])
    assert done.exit_code == 0, done.output
    assert "conversations" in done.output
    home = Home(target)
    assert not is_first_run(home)
    assert "Baleia" in home.memory_file.read_text()
    listed = CliRunner().invoke(main, ["sessions", "ls", "--home", str(target)]).stdout.splitlines()
    assert len(listed) == 22
    assert "2026-02-17T13:18  8 turns" in listed[0]
    again = CliRunner().invoke(main, ["demo", "--keep", str(target)])
    assert again.exit_code != 0
    assert "something already" in again.output


def test_without_a_terminal_the_demo_says_what_to_do() -> None:
    done = CliRunner().invoke(main, ["demo"])
    assert done.exit_code != 0
    assert "--keep" in done.output
