"""The commands as a person and a script use them: output, exit codes, one-line errors, pipes, Ctrl+C."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from cli_process import process
from click.testing import CliRunner, Result

from distill.registry import Registry
from memory.errors import EngineError
from memory.home import Home
from memory.transcripts.read import read_transcript
from molting_agent.cli import main
from molting_agent.config import load_config
from molting_agent.identity import create_home
from molting_agent.reference import reference, walk
from molting_agent.runtime.echo import EchoEngine
from molting_agent.runtime.models import EMBEDDED_SHA256, embedded_model
from molting_agent.speaker import Speaker

ROOT = Path(__file__).parents[2]
COMMANDS = list(walk(main, click.Context(main, info_name="molt")))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> EchoEngine:
    """The echo engine in place of the worker process."""
    engine = EchoEngine("I see.", model_sha256=EMBEDDED_SHA256)
    monkeypatch.setattr(Speaker, "_engine_client", lambda *_: engine)
    return engine


@pytest.fixture
def molt(base_home: Home) -> Callable[..., Result]:
    """Runs ``molt`` in this process, in a made home at molt 0."""

    def run(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(main, ["--home", str(base_home.root), *arguments], input=stdin)

    return run


@pytest.mark.parametrize(("command", "context"), COMMANDS, ids=[c.command_path for _, c in COMMANDS])
def test_every_command_has_help_one_example_and_a_home(command: click.Command, context: click.Context) -> None:
    assert command.help
    assert (command.epilog or "").startswith("Example: ")
    assert (command.epilog or "").count("molt") >= 1
    if context.command_path not in ("molt completions", "molt demo"):  # these work in no home of the person's
        assert any("--home" in parameter.opts for parameter in command.params)
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    result = CliRunner().invoke(main, [*context.command_path.split()[1:], "--help"])
    assert result.exit_code == 0
    assert "Example:" in result.stdout


def test_the_reference_is_current() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == reference(), "run: make docs"


def test_list_is_ls(molt: Callable[..., Result]) -> None:
    assert molt("molts", "list").stdout == molt("molts", "ls").stdout != ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["ask"], 2, "nothing was asked"),
        (["ask", "--sideways"], 2, "No such option"),
        (["ask", "hi", "-f", "nowhere.txt"], 2, "nowhere.txt: cannot be read"),
        (["ask", "hi", "--session", "ffffffff"], 2, "no conversation of that id"),
        (["ask", "hi", "--model", "missing.gguf"], 3, "missing.gguf: no such model file"),
        (["ingest", "nowhere"], 2, "nowhere"),
        (["molts", "show", "9"], 1, "there is no molt 9"),
        (["molts", "promote", "9"], 1, "there is no molt 9"),
        (["molts", "diff", "1", "9"], 1, "there is no molt"),
        (["models", "use", "missing.gguf"], 3, "no such model file"),
        (["models", "pull", "just-a-name"], 3, "not a name of the hub"),
        (["memory", "forget", "ffffffff"], 2, "no memory of this id"),
        (["sessions", "export", "last"], 2, "no conversation yet"),
        ([], 2, "the app needs a terminal"),
    ],
)
def test_a_failure_is_one_line_on_stderr_and_an_exit_code(
    molt: Callable[..., Result], engine: EchoEngine, arguments: list[str], code: int, says: str
) -> None:
    result = molt(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("molt: ")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_broken_config_is_one_line(molt: Callable[..., Result], home: Home, engine: EchoEngine) -> None:
    home.config_file.write_text("[model]\ntemperature = 7\n")
    result = molt("ask", "hi")
    assert result.exit_code == 1
    assert f"{home.config_file}:2: model.temperature: 7 is not allowed" in result.stderr


def test_a_home_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(main, ["sessions", "ls", "--home", str(tmp_path / "file" / "home")])
    assert result.exit_code == 1
    assert "cannot be made" in result.stderr


# -- molt ask -------------------------------------------------------------------------------------------------------


def test_ask_streams_the_reply_and_keeps_the_conversation(
    molt: Callable[..., Result], home: Home, engine: EchoEngine
) -> None:
    result = molt("ask", "good", "morning")
    assert (result.exit_code, result.stdout) == (0, "I see.\n")
    (path,) = home.sessions_dir.glob("*.jsonl")
    assert [turn.text for turn in read_transcript(path).turns] == ["good morning", "I see."]


def test_ask_takes_files_and_stdin(molt: Callable[..., Result], tmp_path: Path, engine: EchoEngine) -> None:
    (tmp_path / "notes.txt").write_text("from the file\n")
    engine.reply = ""
    result = molt("ask", "sum up", "-f", str(tmp_path / "notes.txt"), stdin="from the pipe\n")
    assert result.stdout == "sum up\n\nnotes.txt:\nfrom the file\n\nfrom the pipe\n"
    assert molt("ask", stdin="nothing else").stdout == "nothing else\n"


def test_ask_json_has_everything_a_script_wants(molt: Callable[..., Result], home: Home, engine: EchoEngine) -> None:
    others = ["The router is in the hall.", "Trash is taken on Tuesdays.", "Ana likes tea.", "The boat leaks."]
    home.memory_file.write_text(
        "# MEMORY\n\n## Machines\n- The backup runs every night at 03:20.\n" + "".join(f"- {line}\n" for line in others)
    )
    result = molt("ask", "when does the backup run?", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert set(answer) >= {"reply", "molt", "model", "session", "memories", "usage", "timings"}
    assert (answer["reply"], answer["molt"], answer["model"]) == ("I see.", 0, "SmolLM2-135M")
    memory = answer["memories"][0]
    assert set(memory) == {"id", "citation", "text", "score"}
    assert memory["citation"] == "MEMORY.md:4"
    assert set(answer["usage"]) == {"prompt_tokens", "evaluated_tokens", "reply_tokens"}
    assert set(answer["timings"]) == {"first_token_s", "total_s", "tokens_per_s", "recall_s"}
    assert answer["session"] in read_transcript(next(home.sessions_dir.glob("*.jsonl"))).id
    without = json.loads(molt("ask", "when does the backup run?", "--json", "--no-memory").stdout)
    assert without["memories"] == []


def test_ask_goes_on_with_a_conversation(molt: Callable[..., Result], home: Home, engine: EchoEngine) -> None:
    session = json.loads(molt("ask", "one", "--json").stdout)["session"]
    assert json.loads(molt("ask", "two", "--json", "--session", "last").stdout)["session"] == session
    assert json.loads(molt("ask", "three", "--json", "--session", session[:8]).stdout)["session"] == session
    (path,) = home.sessions_dir.glob("*.jsonl")
    assert [turn.text for turn in read_transcript(path).turns if turn.role == "user"] == ["one", "two", "three"]


def test_ask_ends_with_4_when_the_engine_fails(molt: Callable[..., Result], home: Home, engine: EchoEngine) -> None:
    def dies(_question: str) -> str:
        raise EngineError("the inference process died (signal 9)")

    engine.reply = dies
    result = molt("ask", "are you there?")
    assert result.exit_code == 4
    assert result.stderr.splitlines()[-1] == "molt: the inference process died (signal 9)"
    (path,) = home.sessions_dir.glob("*.jsonl")
    assert [turn.text for turn in read_transcript(path).turns] == ["are you there?"]


def test_nothing_a_terminal_obeys_is_printed(molt: Callable[..., Result], home: Home, engine: EchoEngine) -> None:
    evil = "\x1b]52;c;AAAA\x07\x1b[31mred\u202e\x9b2J"
    engine.reply = evil
    home.memory_file.write_text(f"# MEMORY\n\n## Evil {evil}\n- evil words {evil} here\n")
    molt("ask", f"evil {evil}", "--session", "nowhere")
    for arguments in (
        ["ask", f"evil {evil}"],
        ["ask", "evil words", "--json"],
        ["recall", "evil words"],
        ["recall", "evil words", "--json"],
        ["memory", "ls"],
        ["sessions", "ls"],
        ["sessions", "ls", "--json"],
        ["sessions", "export", "last"],
        ["sessions", "search", "evil"],
        [f"no{evil}command"],
    ):
        result = molt(*arguments)
        for character in "\x1b\x07\x9b\u202e":
            assert character not in result.output, arguments


# -- memory, sessions, molts, models --------------------------------------------------------------------------------


def test_a_memory_is_added_recalled_listed_and_forgotten(molt: Callable[..., Result], home: Home) -> None:
    added = molt("memory", "add", "The router is in the hall closet.")
    assert added.exit_code == 0, added.output
    assert "The router is in the hall closet." in home.memory_file.read_text()
    assert "MEMORY.md" in added.stdout
    found = molt("recall", "where is the router", "--json")
    (memory,) = json.loads(found.stdout)
    assert "router" in memory["text"]
    shown = molt("recall", "where is the router", "--explain")
    assert memory["citation"] in shown.stdout
    assert "lexical" in shown.stdout
    assert memory["id"] in molt("memory", "ls").stdout
    assert molt("memory", "forget", memory["id"]).exit_code == 0
    assert "router" not in home.memory_file.read_text()
    assert json.loads(molt("recall", "where is the router", "--json").stdout) == []


def test_ingest_counts_and_does_nothing_twice(molt: Callable[..., Result], tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "trash.md").write_text("# Trash\n\nTaken on Tuesdays.\n")
    assert "Nothing was changed" in molt("ingest", str(notes), "--dry-run").stdout
    first = json.loads(molt("ingest", str(notes), "--json").stdout)
    assert (first["files"], first["memories"]) == (1, 1)
    second = json.loads(molt("ingest", str(notes), "--json").stdout)
    assert (second["memories"], second["unchanged"]) == (0, 1)
    assert "1 unchanged" in molt("ingest", str(notes)).stdout


def test_conversations_are_listed_searched_and_exported(
    molt: Callable[..., Result], tmp_path: Path, engine: EchoEngine
) -> None:
    session = json.loads(molt("ask", "where are the keys?", "--json").stdout)["session"]
    assert session[:8] in molt("sessions", "ls").stdout
    assert json.loads(molt("sessions", "ls", "--json").stdout)[0]["title"] == "where are the keys?"
    assert session[:8] in molt("sessions", "search", "THE KEYS").stdout
    assert json.loads(molt("sessions", "search", "nothing like it", "--json").stdout) == []
    assert molt("sessions", "export", session[:8]).stdout.startswith("# where are the keys?\n\n## You\n")
    target = tmp_path / "talk.md"
    molt("sessions", "export", "last", "-o", str(target))
    assert "## Cláudio (molt 0)\n\nI see." in target.read_text()


def test_molts_are_promoted_and_rolled_back(
    molt: Callable[..., Result], home: Home, write_molt: Callable[..., Path]
) -> None:
    for number in (11, 12):
        write_molt(home, number, title=f"title {number}")
    Registry(home.molts_dir).promote(0, EMBEDDED_SHA256)
    assert molt("molts", "promote", "11").stdout == "Molt 11 speaks now.\n"
    assert molt("molts", "promote", "12").exit_code == 0
    listed = {entry["molt"]: entry["speaks"] for entry in json.loads(molt("molts", "ls", "--json").stdout)}
    assert (listed[11], listed[12]) == (False, True)
    assert "*  12" in molt("molts", "ls").stdout
    assert "title 12" in molt("molts", "ls").stdout
    assert molt("molts", "rollback").stdout == "Molt 11 speaks now.\n"
    assert json.loads(molt("molts", "show", "11", "--json").stdout)["molt"] == 11
    (Registry(home.molts_dir).folder(11) / "report.md").write_text("# Report of 11\n")
    assert molt("molts", "show", "11").stdout == "# Report of 11\n"
    (Registry(home.molts_dir).folder(12) / "adapter.gguf").write_bytes(b"other")
    assert molt("molts", "promote", "12").exit_code == 1
    assert Registry(home.molts_dir).load_champion(EMBEDDED_SHA256)[0] == Registry(home.molts_dir).get(11)


def test_another_model_is_chosen_by_path_and_then_known_by_name(
    molt: Callable[..., Result], home: Home, tmp_path: Path, write_gguf: Callable[..., Path]
) -> None:
    path = write_gguf(tmp_path / "tiny-model.gguf")
    assert "tiny-model speaks from the next start on, as molt 0" in molt("models", "use", str(path)).stdout
    assert load_config(home).model.name == "tiny-model"
    models = {model["name"]: model for model in json.loads(molt("models", "ls", "--json").stdout)}
    assert models["tiny-model"]["in_use"]
    assert not models["SmolLM2-135M"]["in_use"]
    assert molt("models", "use", "SmolLM2-135M").exit_code == 0
    assert "*  SmolLM2-135M" in molt("models", "ls").stdout
    path.write_bytes(path.read_bytes()[:-10])
    assert molt("models", "use", "tiny-model").exit_code == 3


def test_doctor_finds_what_is_wrong(
    molt: Callable[..., Result], home: Home, engine: EchoEngine, write_molt: Callable[..., Path]
) -> None:
    molt("ask", "hello")
    healthy = {finding["check"]: finding for finding in json.loads(molt("doctor", "--json").stdout)}
    assert set(healthy) == {
        "python", "settings", "disk", "model", "molt", "molts", "memory", "index", "sessions"
    }  # fmt: skip
    assert not [finding for finding in healthy.values() if finding["level"] == "failed"]
    write_molt(home, 21).joinpath("adapter.gguf").write_bytes(b"other")
    next(home.sessions_dir.glob("*.jsonl")).open("ab").write(b'{"torn')
    home.db_file.write_bytes(b"not a database at all" * 400)
    home.config_file.write_text("[model]\nnme = 1\n")
    result = molt("doctor", "--json")
    assert result.exit_code == 1
    levels = {finding["check"]: finding["level"] for finding in json.loads(result.stdout)}
    assert levels["settings"] == levels["memory"] == "failed"
    assert levels["molts"] == levels["sessions"] == "warning"
    assert "delete them" in molt("doctor").stdout


# -- processes ------------------------------------------------------------------------------------------------------


def loaded_modules(home: Home, *arguments: str) -> set[str]:
    """The modules a command has imported at its end."""
    code = (
        "import sys, json\nfrom molting_agent.cli import main\n"
        f"try:\n    main({list(arguments)!r}, prog_name='molt')\nexcept SystemExit:\n    pass\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    environment = {**os.environ, "MOLTING_HOME": str(home.root)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


HEAVY = {"torch", "transformers", "sentence_transformers", "llama_cpp", "textual", "trl", "peft"}


def test_help_imports_nothing_but_click(home: Home) -> None:
    loaded = loaded_modules(home, "--help")
    assert not loaded & (HEAVY | {"pydantic", "numpy", "sqlite3", "rich", "chromadb", "onnxruntime", "jinja2", "httpx"})


def test_neither_recall_nor_ask_imports_torch(home: Home) -> None:
    create_home(home)
    home.memory_file.write_text("# MEMORY\n\n## Machines\n- The backup runs every night at 03:20.\n")
    assert not loaded_modules(home, "recall", "when does the backup run") & HEAVY
    home.config_file.write_text("[model]\nmax_reply_tokens = 16\n")
    assert not loaded_modules(home, "ask", "hi", "--json") & HEAVY


def test_ask_with_the_real_model_into_a_pipe(home: Home) -> None:
    done = process(home, "ask", "Who are you?", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["reply"]
    assert answer["usage"]["reply_tokens"] > 0
    again = json.loads(process(home, "ask", "And now?", "--json", "--session", "last").stdout)
    assert again["session"] == answer["session"]
    assert again["usage"]["evaluated_tokens"] < again["usage"]["prompt_tokens"]


def test_a_reader_who_leaves_is_no_error(home: Home) -> None:
    create_home(home)
    command = [sys.executable, "-m", "molting_agent", "ask", "Tell me a long story about the sea."]
    environment = {**os.environ, "MOLTING_HOME": str(home.root)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(1)
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(250) == 141
    (path,) = home.sessions_dir.glob("*.jsonl")
    turns = read_transcript(path).turns
    assert [turn.role for turn in turns] == ["user", "assistant"]
    assert turns[1].stopped


def test_ctrl_c_stops_the_reply_and_keeps_it(home: Home) -> None:
    create_home(home)
    embedded_model(home)
    command = [sys.executable, "-m", "molting_agent", "ask", "Tell me a long story about the sea."]
    environment = {**os.environ, "MOLTING_HOME": str(home.root)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        began = child.stdout.read(1)
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        said = (began + child.stdout.read()).decode()
        assert child.stderr.read() == b""
        assert child.wait(250) == 130
    (path,) = home.sessions_dir.glob("*.jsonl")
    reply = read_transcript(path).turns[-1]
    assert (reply.text, reply.stopped) == (said.strip(), True)
