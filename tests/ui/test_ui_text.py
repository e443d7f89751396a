"""The pure functions of the interface: what is said at which width, and what is asked before anything happens."""

import pytest
from fake_agent import MEMORIES, memory_of, progress_of
from hypothesis import given
from hypothesis import strategies as st

from memory.values import Receipt
from molting_agent.ui import foot_text, status_text
from molting_agent.ui.commands import registry
from molting_agent.ui.header import header_line
from molting_agent.ui.identity_name import name_in
from molting_agent.ui.links import link_question
from molting_agent.ui.receipts import receipt_line
from molting_agent.ui.status_text import StatusFields, TrainingState, status_line
from molting_agent.ui.stream import StreamBuffer
from molting_agent.ui.themes import theme_name
from molting_agent.ui.training_text import can_resume, ending, training_state

FULL = StatusFields(1680, 4096, 38.4, 2, TrainingState("training", 0.62, (2.4, 2.0, 1.5, 1.4), 360.0))


@pytest.mark.parametrize(
    ("width", "has", "has_not"),
    [
        (120, ["ctx", "41%", "38 tok/s", "training 62%", "6 min left", "2 memories", "F1 help"], []),
        (80, ["ctx", "38 tok/s", "training 62%", "6 min left", "2 memories"], ["F1"]),
        (75, ["ctx", "38 tok/s", "training 62%", "6 min left"], ["memories", "F1"]),
        (51, ["ctx", "38 tok/s", "molting 62%"], ["left", "memories", "F1"]),
        (30, ["ctx", "38 tok/s"], ["62%"]),
    ],
)
def test_status_line_drops_fields_from_the_right(width: int, has: list[str], has_not: list[str]) -> None:
    line = status_line(FULL, width).plain
    assert len(line) <= width
    assert all(part in line for part in has)
    assert not any(part in line for part in has_not)


def test_status_line_without_training_keeps_its_hints_at_76() -> None:
    assert status_line(StatusFields(1680, 4096, 38.4, 2), 76).plain.endswith("F3 molts")
    assert "F3" not in status_line(StatusFields(1680, 4096, 38.4, 2), 75).plain


@given(
    used=st.integers(0, 10_000),
    speed=st.floats(0, 9999),
    memories=st.integers(0, 99),
    width=st.integers(1, 220),
    training=st.booleans(),
)
def test_status_line_never_exceeds_its_width(
    used: int, speed: float, memories: int, width: int, training: bool
) -> None:
    state = TrainingState("training", 0.5, (1.0, 2.0), 4000.0) if training else None
    assert status_line(StatusFields(used, 4096, speed, memories, state), width).cell_length <= width


def test_bar_never_lies_at_its_ends() -> None:
    assert status_text.bar(0.0) == "░░░░░"
    assert status_text.bar(0.01) == "▓░░░░"
    assert status_text.bar(0.94) == "▓▓▓▓░"
    assert status_text.bar(1.0) == "▓▓▓▓▓"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (45, "45 s"), (360, "6 min"), (3599, "1 h 00 min"), (4800, "1 h 20 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert status_text.duration(seconds) == text


def test_header_drops_the_model_when_narrow() -> None:
    wide = header_line("Cláudio", 7, "SmolLM2-135M", width=60)
    assert wide.plain.startswith("Cláudio")
    assert wide.plain.endswith("molt 7 ✓   SmolLM2-135M")
    assert wide.cell_length == 60
    assert header_line("Cláudio", 7, "SmolLM2-135M", width=25).plain.endswith("molt 7 ✓")
    assert "waking up" in header_line("Cláudio", None, "", width=40).plain
    assert "the base" in header_line("Cláudio", 0, "", width=40).plain


def test_memories_line_fits_as_many_citations_as_there_is_room_for() -> None:
    assert foot_text.memories_text(MEMORIES, expanded=False, width=60) == "▸ 2 memories  MEMORY.md:14  MEMORY.md:13"
    assert foot_text.memories_text(MEMORIES[:1], expanded=True, width=60) == "▾ 1 memory  MEMORY.md:14"
    assert foot_text.memories_text(MEMORIES, expanded=False, width=30) == "▸ 2 memories  MEMORY.md:14  …"
    assert foot_text.memories_text([], expanded=False, width=30) == ""


def test_foot_is_exactly_as_wide_as_its_line_and_keys_shrink() -> None:
    line = foot_text.foot("▸ 2 memories", "molt 3", width=40, keys=False)
    assert line.cell_length == 40
    assert line.plain.endswith("molt 3")
    assert "dislike" in foot_text.foot("", "", width=80, keys=True).plain
    assert foot_text.foot("", "", width=20, keys=True).plain.split() == ["+", "-", "e", "r", "b", "y", "w"]


def test_state_says_what_happened_to_a_reply() -> None:
    assert foot_text.state_text(rating=1, edited=True, reason="stop", molt=3) == "edited · + liked · molt 3"
    assert foot_text.state_text(rating=0, edited=False, reason="cancelled", molt=0) == "stopped · base"


def test_memory_list_marks_private_and_untrusted_and_is_cleaned() -> None:
    odd = memory_of(3, "a\x1b[31mred\x1b[0m", label="private", trust="untrusted")
    text = foot_text.memory_lines([odd]).plain
    assert "private" in text
    assert "untrusted" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("deltas", "given_out"),
    [
        (["Hello ", "wor", "ld"], ["Hello ", "wor", "ld"]),
        (["```py\nx = ", "1\ny", " = 2\n```\nok"], ["```py\n", "x = 1\n", "y = 2\n```\nok"]),
        (["~~~\na\n", "b"], ["~~~\na\n", ""]),
        (["```\nnot ``` the end\n", "x"], ["```\nnot ``` the end\n", ""]),
    ],
)
def test_stream_gives_whole_lines_inside_fences(deltas: list[str], given_out: list[str]) -> None:
    buffer = StreamBuffer()
    got = []
    for delta in deltas:
        buffer.write(delta)
        got.append(buffer.take())
    assert got == given_out
    assert "".join(got) + buffer.rest() == "".join(deltas)


@given(st.lists(st.text(alphabet="`~ab\n", max_size=8), max_size=12))
def test_stream_loses_and_doubles_nothing(deltas: list[str]) -> None:
    buffer = StreamBuffer()
    got = ""
    for delta in deltas:
        buffer.write(delta)
        got += buffer.take()
    assert got + buffer.rest() == "".join(deltas)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("/help", ("help", "")),
        ("/remember  two words\nand a line", ("remember", "two words\nand a line")),
        ("/HELP", ("help", "")),
        ("/etc/fstab is broken", None),
        ("/ what", None),
        ("what is /help", None),
        ("50/50", None),
    ],
)
def test_slash_commands_and_questions_are_told_apart(text: str, parsed: tuple[str, str] | None) -> None:
    assert registry.parse(text) == parsed


def test_unknown_command_names_the_nearest() -> None:
    assert registry.unknown("retrian") == "There is no /retrian; did you mean /retrain?"
    assert "/help" in registry.unknown("xyzzy")


def test_every_command_of_the_first_landing_is_there() -> None:
    wanted = "help new resume sessions remember recall forget retrain stop molts promote rollback model theme quit"
    assert set(wanted.split()) <= set(registry.commands())
    assert all(command.summary and command.run.__doc__ for command in registry.commands().values())


def test_matching_follows_what_is_typed() -> None:
    assert [command.name for command in registry.matching("/rem")] == ["remember"]
    assert len(registry.matching("/")) == len(registry.commands())
    assert registry.matching("/remember ") == []
    assert registry.matching("rem") == []


@pytest.mark.parametrize(
    ("href", "opens"),
    [
        ("https://borgbackup.readthedocs.io/x", True),
        ("http://example.com", True),
        ("file:///etc/passwd", False),
        ("javascript:alert(1)", False),
        ("/local", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_only_web_links_are_offered(href: str, opens: bool) -> None:
    question, url = link_question(href)
    assert bool(url) is opens
    assert question


def test_link_question_shows_the_true_host() -> None:
    assert "xn--" in link_question("https://exаmple.com/")[0]  # the second letter is Cyrillic
    assert "evil.org" in link_question("https://example.com@evil.org/")[0]


def test_receipts_say_where() -> None:
    assert receipt_line(Receipt("m", "added", "/h/MEMORY.md", 22, "x\ny")) == "remembered in MEMORY.md:22: x y"
    assert receipt_line(Receipt("m", "removed", "/h/MEMORY.md", 3, "x")) == "removed from MEMORY.md:3: x"


@pytest.mark.parametrize(
    ("code", "has", "kind"),
    [
        (0, "Molt 2 passed the gate", "swap"),
        (10, "did not pass the gate", "warning"),
        (11, "3 more replies are needed", "information"),
        (12, "checkpoint", "information"),
        (1, "3 more replies are needed", "error"),
    ],
)
def test_endings_of_a_retraining(code: int, has: str, kind: str) -> None:
    text, severity = ending(code, progress_of(message="3 more replies are needed"), "")
    assert has in text
    assert severity == kind


def test_the_gates_message_is_said_as_a_sentence() -> None:
    text, _kind = ending(10, progress_of(message="molt 2: kept; too few conversations to judge by"), "")
    assert text == (
        "Molt 2 did not pass the gate; the champion stays. Kept; too few conversations to judge by. "
        "F3 shows its report."
    )


def test_ending_without_progress_uses_the_last_line_of_the_log() -> None:
    assert ending(1, None, "no space left") == ("The retraining failed: no space left", "error")
    assert ending(1, None, "")[0].endswith("exit code 1")


def test_only_a_run_that_was_cut_off_goes_on() -> None:
    assert not can_resume(None)
    assert can_resume(progress_of(state="cancelled"))
    assert can_resume(progress_of(state="training"))  # the process is gone, or start() would refuse
    assert not can_resume(progress_of(state="promoted"))
    assert not can_resume(progress_of(state="cancelled", step=0))


def test_training_state_has_a_fraction_only_while_it_trains() -> None:
    assert training_state(progress_of(), paused=False).fraction == 0.62
    assert training_state(progress_of(state="judging"), paused=False).fraction is None
    assert training_state(None, paused=True).paused


def test_name_is_read_from_the_identity() -> None:
    assert name_in("# IDENTITY\n\n- Name: Cláudio (with the accent)\n- Kind: x") == "Cláudio"
    assert name_in("- **Name:** Ana\x1b[31m") == "Ana"
    assert name_in("nothing") == "Cláudio"


def test_theme_names() -> None:
    names = ["molting-dark", "molting-light", "ansi-dark", "nord"]
    assert theme_name("dark", names) == "molting-dark"
    assert theme_name("nord", names) == "nord"
    assert theme_name("pink", names) == ""
