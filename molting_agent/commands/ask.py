"""``molt ask``: one turn without the app, streamed to a terminal or a pipe, or as JSON."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memory.errors import EngineError, UsageError
from molting_agent.commands.common import (
    EXIT_INTERRUPTED,
    json_option,
    open_config,
    print_json,
    say,
    with_home,
)

if TYPE_CHECKING:
    from memory.home import Home
    from molting_agent.agent import Agent
    from molting_agent.events import ReplyFinished
    from molting_agent.tools.results import ToolUse

INDEX_WAIT_S = 30.0
"""The reply is out; the memory may finish what it does. It takes milliseconds, and once per home its preparation."""


@click.command(epilog='Example: git diff | molt ask "What did I change?"')
@click.argument("text", nargs=-1)
@click.option(
    "-f", "--file", "files", multiple=True, type=click.Path(path_type=Path), help="Append a file; repeatable."
)
@click.option("--session", metavar="ID", default="", help="Go on with a conversation: its id, or last.")
@click.option("--no-memory", is_flag=True, help="Answer without looking into the memory.")
@click.option("--allow", "allowed", metavar="TOOL", multiple=True, help="Let a tool act without asking; repeatable.")
@click.option("-m", "--model", metavar="PATH|NAME", default="", help="Another model for this once.")
@json_option
@with_home
def ask(
    home: "Home",
    *,
    text: tuple[str, ...],
    files: tuple[Path, ...],
    session: str,
    no_memory: bool,
    allowed: tuple[str, ...],
    model: str,
    as_json: bool,
) -> None:
    """Ask one question and print the reply; what comes on stdin is appended to TEXT.

    Exit codes: 0 answered, 2 bad use, 3 no model, 4 the engine failed, 130 stopped by Ctrl+C.
    """
    from molting_agent.agent import Agent

    check_tools(allowed)
    question = compose(" ".join(text), files, read_stdin())
    agent = Agent(home, open_config(home, model))
    agent.consent = lambda proposal: "once" if proposal.tool in allowed else "no"
    try:
        # The process that loads the model starts first; everything else happens while it loads.
        notices = agent.start()
        if session:
            notices += agent.resume(session)
        for notice in notices:
            say(notice.text, err=True)
        with stopped_by_ctrl_c(agent):
            finished, recall_s = _answer(agent, question, with_memory=not no_memory, stream=not as_json)
        if as_json:
            print_json(as_dict(agent, finished, recall_s))
        if finished.reason == "cancelled":
            click.get_current_context().exit(EXIT_INTERRUPTED)
    finally:
        if not agent.settle(1.0) and sys.stderr.isatty():
            click.echo("Preparing the memory; this happens once, and takes some seconds.", err=True)
        agent.close(wait_s=INDEX_WAIT_S)


def _answer(  # noqa: PLR0912 - one branch an event
    agent: "Agent", question: str, *, with_memory: bool, stream: bool
) -> tuple["ReplyFinished", float]:
    """Run the turn; its last event, and the seconds recall took."""
    from molting_agent.events import (
        MemoriesShown,
        MemoryKept,
        Notice,
        ReplyDelta,
        ReplyFinished,
        ReplyStarted,
        ToolFinished,
        Unbacked,
    )

    finished: ReplyFinished | None = None
    recall_s, said = 0.0, ""
    unbacked: list[Unbacked] = []
    turn = agent.turn(question, with_memory=with_memory)
    try:
        for event in turn:
            match event:
                case ReplyDelta(text) if stream:
                    sys.stdout.write(text)
                    sys.stdout.flush()
                    said = text
                case ReplyStarted() if said:  # the engine died and begins anew
                    click.echo("\n")
                case MemoryKept(receipt):
                    place = f"{receipt.path}:{receipt.line}"
                    say(f"{receipt.action}  {place}  {receipt.text}  (molt memory undo takes it back)", err=True)
                case MemoriesShown():
                    recall_s = event.recall_s
                case ToolFinished(use):
                    say(tool_line(use), err=True)
                case Unbacked():
                    unbacked.append(event)
                case Notice(severity="error"):
                    pass  # raised below, with its exit code
                case Notice(text):
                    say(text, err=True)
                case ReplyFinished():
                    finished = event
    finally:
        turn.close()
        if said and not said.endswith("\n"):
            click.echo()
    for claimed in unbacked:
        say(f"He says: {claimed.claim} {claimed.why}", err=True)
    if finished is None:
        raise agent.last_error or EngineError("there was no reply")
    return finished, recall_s


@contextmanager
def stopped_by_ctrl_c(agent: "Agent") -> Iterator[None]:
    """Ctrl+C ends the reply and keeps what was said; a second one ends the program."""

    def stop(_number: int, _frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        agent.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def check_tools(allowed: tuple[str, ...]) -> None:
    """Errors: UsageError for a name that is no tool."""
    if allowed:
        from molting_agent.tools.registry import enabled_tools

        enabled_tools(allowed)


def tool_line(use: "ToolUse") -> str:
    """What a tool did, under its call; a refusal says how it can be allowed."""
    if use.state == "refused":
        return f"{use.shown_call}: refused, nobody can be asked here; allow it with: --allow {use.name}"
    mark = "" if use.state == "done" else " failed"
    return "\n".join([f"[{use.shown_call}]{mark}", *(f"  {line}" for line in use.result.splitlines())])


def read_stdin() -> str:
    """What is piped in; nothing from a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode(errors="replace")


def compose(text: str, files: tuple[Path, ...], piped: str) -> str:
    """The question: the words, then each file under its name, then what was piped in. Errors: UsageError."""
    parts = [text.strip()]
    for path in files:
        try:
            parts.append(f"{path.name}:\n{path.read_text(encoding='utf-8', errors='replace').strip()}")
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    parts.append(piped.strip())
    question = "\n\n".join(part for part in parts if part)
    if not question:
        raise UsageError('nothing was asked; give a text: molt ask "Who are you?"')
    return question


def as_dict(agent: "Agent", finished: "ReplyFinished", recall_s: float) -> dict[str, Any]:
    """The reply for scripts; times are seconds."""
    return {
        "reply": finished.text,
        "reason": finished.reason,
        "molt": finished.molt,
        "model": agent.status.model_name,
        "session": agent.session.id,
        "message": finished.message_id,
        "memories": [
            {"id": memory.id, "citation": memory.citation, "text": memory.text, "score": round(memory.score, 4)}
            for memory in finished.memories
        ],
        "tools": [
            {"name": use.name, "arguments": use.arguments, "state": use.state, "result": use.result}
            for use in finished.uses
        ],
        "usage": {
            "prompt_tokens": finished.prompt_tokens,
            "evaluated_tokens": finished.evaluated_tokens,
            "reply_tokens": finished.reply_tokens,
        },
        "timings": {
            "first_token_s": round(finished.first_token_s, 3),
            "total_s": round(finished.total_s, 3),
            "tokens_per_s": round(finished.tokens_per_s, 1),
            "recall_s": round(recall_s, 3),
        },
    }
