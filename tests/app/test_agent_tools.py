"""A turn that acts: chosen, agreed to or refused, on disk in pi's form and read again, never believed unproved."""

import json
from pathlib import Path
from typing import Any

import pytest
from agent_talk import lines_on_disk, say
from conftest import Stage

from memory.transcripts.read import read_transcript
from molting_agent.events import Event, ToolFinished, ToolStarted, Unbacked
from molting_agent.tools.acting import Proposal


def answers(arguments: dict[str, Any], reply: str = "I see.") -> Any:
    """An engine's words: arguments where a tool is filled in, else the reply."""
    return lambda asked: json.dumps(arguments) if asked.startswith("Person: ") else reply


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "notes.txt").write_text("The spare key is with Marta.\n")
    monkeypatch.chdir(folder)
    return folder


def uses(events: list[Event]) -> list[Any]:
    return [event.use for event in events if isinstance(event, ToolFinished)]


def test_a_file_is_read_at_once_and_stands_before_the_question(stage: Stage, folder: Path) -> None:
    stage.engine.reply = answers({"path": "notes.txt"})
    agent = stage.agent()
    events = list(agent.turn("read notes.txt"))
    (use,) = uses(events)
    assert (use.name, use.state, use.result) == ("read_file", "done", "The spare key is with Marta.")
    assert [type(event) for event in events].index(ToolStarted) < [type(event) for event in events].index(ToolFinished)
    prompt = stage.prompt()
    assert prompt.index("- The spare key is with Marta.") < prompt.index("read notes.txt<|im_end|>")
    assert len(stage.engine.requests) == 1, "choosing goes beside the conversation"


def test_plain_talk_asks_no_model_about_tools(stage: Stage) -> None:
    say(stage.agent(), "I had a long day, and read a good book.")
    assert stage.engine.asides == []


def test_the_transcript_is_pis_and_is_read_again(stage: Stage, folder: Path) -> None:
    stage.engine.reply = answers({"path": "notes.txt"}, "With Marta.")
    agent = stage.agent()
    say(agent, "read notes.txt")
    messages = [line["message"] for line in lines_on_disk(agent) if line["type"] == "message"]
    assert [message["role"] for message in messages] == ["user", "assistant", "toolResult", "assistant"]
    assert messages[1]["content"][0]["type"] == "toolCall"
    assert messages[1]["stopReason"] == "toolUse"
    assert messages[2]["toolCallId"] == messages[1]["content"][0]["id"]
    assert messages[2]["molting"] == {"trust": "untrusted"}
    assert agent.session.path
    turns = read_transcript(agent.session.path).turns
    assert [turn.role for turn in turns] == ["user", "assistant"]
    assert turns[1].tool_calls[0].result == "The spare key is with Marta."
    again = stage.agent()
    again.resume("last")
    say(again, "thank you")
    assert "- The spare key is with Marta." in stage.prompt()


def test_nothing_acts_where_nobody_can_be_asked(stage: Stage, folder: Path) -> None:
    stage.engine.reply = answers({"path": "new.txt", "text": "hi"})
    events = list(stage.agent().turn("write 'hi' to new.txt"))
    assert uses(events)[0].state == "refused"
    assert not (folder / "new.txt").exists()
    assert "The person said no; nothing was done." in stage.prompt()


def test_the_person_sees_exactly_what_will_be_done(stage: Stage, folder: Path) -> None:
    asked: list[Proposal] = []
    agent = stage.agent()
    agent.consent = lambda proposal: asked.append(proposal) or "session"  # type: ignore[func-returns-value]
    stage.engine.reply = answers({"path": "new.txt", "text": "hi \x1b[31m"})
    assert uses(list(agent.turn("write 'hi' to new.txt")))[0].state == "done"
    assert asked == [Proposal("write_file", f"write the new file {folder.resolve() / 'new.txt'} with:\nhi ")]
    assert (folder / "new.txt").read_text() == "hi \n", "what could not be shown is not written"
    (folder / "new.txt").unlink()
    assert uses(list(agent.turn("write 'hi' to new.txt")))[0].state == "done"
    assert len(asked) == 1, "the same action again is not asked about"
    stage.engine.reply = answers({"path": "other.txt", "text": "hi"})
    list(agent.turn("write 'hi' to other.txt"))
    assert len(asked) == 2, "another one is"


def test_what_a_terminal_would_hide_of_a_command_is_not_run(stage: Stage, folder: Path) -> None:
    asked: list[Proposal] = []
    agent = stage.agent()
    agent.consent = lambda proposal: asked.append(proposal) or "no"  # type: ignore[func-returns-value]
    stage.engine.reply = answers({"command": "git status \x1b]0; ; rm -rf sub ; \x07"})
    (use,) = uses(list(agent.turn("run git status")))
    assert asked == [Proposal("run_command", "run: git status ")]
    assert use.arguments == {"command": "git status "}


def test_a_path_that_cannot_be_shown_is_not_written(stage: Stage, folder: Path) -> None:
    (folder / "notes\u202etxt").write_text("x\n")
    (folder / "link.txt").symlink_to(folder / "notes\u202etxt")
    agent = stage.agent()
    agent.consent = lambda _proposal: "once"
    stage.engine.reply = answers({"path": "link.txt", "text": "hi"})
    (use,) = uses(list(agent.turn("write 'hi' to link.txt")))
    assert (use.state, "cannot be shown" in use.result) == ("failed", True)
    assert (folder / "notes\u202etxt").read_text() == "x\n"


def test_what_changed_while_the_question_stood_is_left_alone(stage: Stage, folder: Path) -> None:
    agent = stage.agent()

    def slowly(_proposal: Proposal) -> str:
        (folder / "new.txt").write_text("the person's own\n")
        return "session"

    agent.consent = slowly  # type: ignore[assignment]
    stage.engine.reply = answers({"path": "new.txt", "text": "hi"})
    (use,) = uses(list(agent.turn("write 'hi' to new.txt")))
    assert (use.state, "no longer what was shown" in use.result) == ("failed", True)
    assert (folder / "new.txt").read_text() == "the person's own\n"
    assert agent.acting.always == set()


def test_always_holds_for_the_folder_it_was_said_in(
    stage: Stage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("molting_agent.tools.command.which_wall", lambda: "")  # whether it runs is not the question
    asked: list[Proposal] = []
    agent = stage.agent()
    agent.consent = lambda proposal: asked.append(proposal) or "session"  # type: ignore[func-returns-value]
    stage.engine.reply = answers({"command": "make clean"})
    for _ in range(2):
        list(agent.turn("run make clean"))
    assert len(asked) == 1
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder / "sub")
    list(agent.turn("run make clean"))
    assert len(asked) == 2


def test_on_an_errand_there_are_only_tools_that_look(stage: Stage, folder: Path) -> None:
    agent = stage.agent()
    agent.consent = lambda _proposal: "once"
    stage.engine.reply = answers({"path": "new.txt", "text": "hi"})
    assert uses(list(agent.turn("From your list: write", errand="write 'hi' to new.txt"))) == []
    list(agent.turn("remember that I like tea", errand="remember that I like tea"))
    assert agent.memory.asked  # type: ignore[attr-defined] - it was a turn like any other
    assert not (folder / "new.txt").exists()
    assert "tea" not in stage.home.memory_file.read_text()
    stage.engine.reply = answers({"path": "notes.txt"})
    assert uses(list(agent.turn("From your list", errand="read notes.txt")))[0].state == "done"


def test_a_look_outside_the_folders_is_asked_about(stage: Stage, folder: Path) -> None:
    (folder.parent / "outside.txt").write_text("not for everyone\n")
    stage.engine.reply = answers({"path": "../outside.txt"})
    events = list(stage.agent().turn("read ../outside.txt"))
    assert uses(events)[0].state == "refused"
    assert "not for everyone" not in stage.prompt()


def test_arguments_that_never_fit_become_plain_talk(stage: Stage, folder: Path) -> None:
    stage.engine.reply = lambda asked: "no JSON" if asked.startswith("Person: ") else "I see."
    events = list(stage.agent().turn("read notes.txt"))
    assert uses(events) == []
    assert len([s for s in stage.engine.asides if s]) == 2, "drawn, and repaired once"


def test_a_worker_that_dies_over_a_grammar_costs_no_turn(stage: Stage, folder: Path) -> None:
    stage.engine.fail_next = True
    stage.engine.reply = answers({"path": "notes.txt"})
    events = list(stage.agent().turn("read notes.txt"))
    assert uses(events) == []
    assert any("no tool was used" in getattr(event, "text", "") for event in events)
    assert type(events[-1]).__name__ == "ReplyFinished"


def test_tools_can_be_switched_off(stage: Stage, folder: Path) -> None:
    stage.config = stage.config.model_copy(update={"tools": stage.config.tools.model_copy(update={"enabled": ()})})
    assert uses(list(stage.agent().turn("read notes.txt"))) == []
    assert stage.engine.asides == []


def test_a_claim_without_a_receipt_is_marked(stage: Stage, folder: Path) -> None:
    stage.engine.reply = "Sure. I saved it to notes.txt."
    events = list(stage.agent().turn("could you keep my list?"))
    assert [event.claim for event in events if isinstance(event, Unbacked)] == ["I saved it to notes.txt."]


def test_results_reach_prompt_and_events_clean_and_cut(stage: Stage, folder: Path) -> None:
    (folder / "evil.txt").write_text("a\x1b]52;c;AAAA\x07b\u202ec\n" + "line\n" * 3000)
    stage.engine.reply = answers({"path": "evil.txt"})
    events = list(stage.agent().turn("read evil.txt"))
    shown = uses(events)[0].result
    assert "\x1b" not in shown + stage.prompt()
    assert "more characters]" in shown
    assert "more characters]" in stage.prompt()
    assert len(stage.prompt()) < 12_000
