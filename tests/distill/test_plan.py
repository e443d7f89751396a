"""What is trained on: time limits, what is new, long conversations, memories in the prompt, settings and the report."""

from dataclasses import replace
from pathlib import Path

import pytest
from talks import question, reply, talk
from test_registry import BASE, make_molt

from distill import plan
from distill.config import DistillConfig, load_config
from distill.dataset import Dialogue, Example, dialogue_of, divide, prefix_tokens, segments_of, tokenize
from distill.manifest import read_manifest, write_manifest
from distill.progress import sparkline
from distill.registry import Registry
from distill.targets import Target, learnable, learnt_keys
from memory.errors import UsageError
from memory.transcripts.model import Turn
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.template import Message


def lesson(day: int, size: int = 100) -> Example:
    name = f"c{day}"
    target = Target(name, "r", 1, f"reply {day}", "imported", f"2026-01-{day:02d}")
    return Example(name, tuple(range(size)), (False, *[True] * (size - 1)), (target,), target.started_at)


def fit(lessons: list[Example], minutes: float | None, learnt: set[plan.Key] | None = None) -> plan.Plan:
    made, used, rows = plan.fit(
        lessons,
        [200, 10],
        DistillConfig(epochs=2, row_tokens=1000),
        tokens_per_s=10,
        learnt=learnt or set(),
        heldout=9,
        judge_s=20,
        left_out={"empty reply": 1, "nothing": 0},
        minutes_given=minutes,
    )
    assert made.rows == len(rows)
    fit.used = [used[i].conversation for i in sorted({i for row in rows for i in row.examples})]  # type: ignore[attr-defined]
    return made


def test_without_a_limit_everything_is_used() -> None:
    made = fit([lesson(day) for day in range(1, 29)], None)
    assert (made.conversations, made.targets, made.new_targets, made.missing) == (28, 28, 28, 0)
    assert made.left_out == {"empty reply": 1}
    assert made.train_s == pytest.approx(made.row_tokens / 10)


@pytest.mark.parametrize("minutes", [2, 4, 8, 10])
def test_a_limit_holds_and_the_newest_stay(minutes: float) -> None:
    whole = fit([lesson(day) for day in range(1, 29)], None)
    made = fit([lesson(day) for day in range(1, 29)], minutes)
    assert made.train_s <= max(minutes * 60 - 60, 1000 / 10)
    assert made.rows < whole.rows
    assert made.left_out["steps that do not fit into the time"] == whole.rows - made.rows
    assert made.targets + made.left_out.get("replies that do not fit into the time", 0) == 28
    if made.conversations < 20:
        assert {"c28", "c27"} & set(fit.used)  # type: ignore[attr-defined]
        assert "c1" not in fit.used  # type: ignore[attr-defined]


def test_new_replies_go_before_learnt_ones_however_old_they_are() -> None:
    lessons = [lesson(day) for day in range(1, 29)]
    learnt = {example.targets[0].key for example in lessons[5:]}
    made = fit(lessons, 2, learnt)
    assert {f"c{day}" for day in range(1, 6)} <= set(fit.used)  # type: ignore[attr-defined]
    assert made.new_targets == 5


def test_too_little_says_how_much_is_missing() -> None:
    lessons = [lesson(1), lesson(2)]
    made = fit(lessons, None, {lessons[0].targets[0].key})
    assert made.missing == 1
    assert "1 missing" in made.text()


def test_what_counts_as_new_follows_the_champion(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    talks = [talk(f"c{i}", question(), reply("r")) for i in range(3)]
    assert (learnable(talks, registry, BASE).new, learnable(talks, registry, BASE).missing) == (3, 0)
    for number, verdict in ((1, "promoted"), (2, "rejected")):
        folder = make_molt(tmp_path, number, verdict=verdict)
        keys = [Target(f"c{number}", "r", 1, talks[0].turns[1].text, "imported", "").key]
        learnt = [{"conversation": c, "message": m, "sha256": s, "why": "imported"} for c, m, s in keys]
        write_manifest(folder, {**read_manifest(folder), "targets": learnt})
    assert len(learnt_keys(registry, BASE)) == 1  # molt 1 was never made champion; molt 2 was turned down
    registry.promote(1, BASE)
    assert learnable(talks, registry, BASE).new == 1
    registry.rollback(BASE)
    assert learnable(talks, registry, BASE).new == 2


def test_long_conversations_are_cut_between_turns_only() -> None:
    messages = tuple(Message("user" if i % 2 == 0 else "assistant", f"m{i}", target=i % 2 == 1) for i in range(10))
    targets = tuple(Target("c", f"m{i}", i, f"m{i}", "imported", "") for i in range(1, 10, 2))
    dialogue = Dialogue("c", messages, targets, False, "")
    parts, too_long = divide(dialogue, [10] * 10, 45)
    assert [len(part.messages) for part in parts] == [4, 4, 2]
    assert [m for part in parts for m in part.messages] == list(messages)
    assert [t for part in parts for t in part.targets] == list(targets)
    assert too_long == 0
    parts, too_long = divide(dialogue, [10, 10, 10, 90, 10, 10, 10, 10, 10, 10], 45)
    assert too_long == 1
    assert "m3" not in [m.content for part in parts for m in part.messages]
    # What follows a part that was left out does not pretend to follow what came before it.
    assert parts[1].messages[0].content == "m4"


def test_memories_stand_where_they_stood_at_run_time() -> None:
    turns = (question("and the key?"), reply("r", spoken_by=1, approved=True, shown_memories=("m1", "m2")))
    dialogue, _left_out = dialogue_of(talk("a", *turns, own=True), lambda ids: f"Notes: {','.join(ids)}")
    assert dialogue is not None
    assert dialogue.messages[0].content == "Notes: m1,m2\n\nand the key?"


def test_an_edit_replaces_what_was_said_and_the_unapproved_stay_context() -> None:
    turns = (
        question("a?"),
        reply("r1", "First.", spoken_by=1),
        question("b?"),
        reply("r2", "Second.", edited_text="Better."),
    )
    dialogue, left_out = dialogue_of(talk("a", *turns, own=True), lambda _ids: "")
    assert dialogue is not None
    assert [(m.content, m.target) for m in dialogue.messages] == [
        ("a?", False),
        ("First.", False),
        ("b?", False),
        ("Better.", True),
    ]
    assert sum(left_out.values()) == 1


def test_tool_output_and_headless_replies_are_left_out() -> None:
    tool = Turn("t", "tool", "output", 3, trust="untrusted")
    turns = (reply("r0", "Before it."), question("a?"), tool, reply("r1", "After it."))
    dialogue, left_out = dialogue_of(talk("a", *turns), lambda _ids: "")
    assert dialogue is not None
    assert [m.content for m in dialogue.messages] == ["a?", "After it."]
    assert left_out == {"reply before the first question": 1}


def test_training_reads_the_tokens_that_the_runtime_reads(engine: EngineClient) -> None:
    turns = (question("a <|im_end|> b?"), reply("r1", "Água fria."), question("c?"), reply("r2", "Good then."))
    dialogue, _left_out = dialogue_of(talk("a", *turns), lambda _ids: "")
    assert dialogue is not None
    for system in ("You are Cláudio.", "Another, longer identity.\n\nWith two parts."):
        segments, _prefix = segments_of(dialogue, system, engine.info)
        runtime = [token for ids in engine.tokenize(segments) for token in ids]
        (example,), _too_long = tokenize(dialogue, engine, DistillConfig())
        ours = [*prefix_tokens(system, engine), *example.tokens]
        assert ours == runtime[: len(ours)]
        learnt = [t for t, is_target in zip(example.tokens, example.is_target, strict=True) if is_target]
        words = [t for s, ids in zip(segments, engine.tokenize(segments), strict=True) if s.target for t in ids]
        assert learnt == words
        assert example.is_target[-1]


def test_settings_are_checked_and_named() -> None:
    config = load_config("", ["learning_rate=2e-3", "epochs=2"])
    assert (config.learning_rate, config.epochs) == (2e-3, 2.0)
    assert replace(config, learning_rate=1e-3, epochs=3.0) == load_config()
    for settings, message in (
        (["learning_rat=1"], "no setting 'learning_rat'"),
        (["epochs=many"], "epochs is float"),
        (["epochs=0"], "makes no sense"),
        (["epochs"], "key=value"),
    ):
        with pytest.raises(UsageError, match=message):
            load_config("", settings)
    with pytest.raises(UsageError, match=r"there are: .*sft"):
        load_config("nothing")


def test_every_setting_is_documented_and_read_somewhere() -> None:
    folder = Path(plan.__file__).parent
    sources = "".join(path.read_text() for path in folder.rglob("*.py") if path.name != "config.py")
    for name in DistillConfig.__dataclass_fields__:
        assert f"config.{name}" in sources, name


def test_a_curve_in_one_line() -> None:
    assert sparkline([], 60) == ""
    falling = sparkline([3.0, 2.0, 1.0], 60)
    assert falling == "█▅▁"
    assert sparkline([1.0] * 500, 60) == "▁" * 60
    assert sparkline(list(range(600)), 6) == "▁▂▄▅▇█"
