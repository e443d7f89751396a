"""The report says what was judged: both students, plainly when the twin won, and whole Markdown tables."""

import json

import pytest
from test_gate import CONFIG, scores

from distill import report
from distill.evaluate.exam import Exam
from distill.examination import Scores
from distill.judgement import conclude
from distill.state import RunState

PLAN = {
    "conversations": 9,
    "targets": 30,
    "new_targets": 30,
    "target_tokens": 900,
    "row_tokens": 5000,
    "lessons": 0,
    "explained": 0,
    "left_out": {"thumb down": 2},
    "epochs": 3.0,
}
MEASURED = {
    "train_s": 60.0,
    "train_tokens_per_s": 150.0,
    "precision": "float32",
    "judge_s": 40.0,
    "adapter_bytes": 9_800_000,
    "trainable_parameters": 4_884_480,
}


def reported(sides: dict[str, Scores]) -> tuple[dict[str, object], str]:
    state = RunState(
        molt=4,
        started_at="2026-11-24",
        base={"name": "SmolLM2-135M", "sha256": "b"},
        config=CONFIG,
        exam=Exam("s", (), (), (), (), ()),
        prefixes=(),
        examples=(),
        rows=(),
        plan=PLAN,
    )
    built = report.build(state, conclude(sides, CONFIG), champion_number=3, losses=[3.0, 2.0], measured=MEASURED)
    return built, report.to_markdown(json.loads(json.dumps(built)))


@pytest.mark.parametrize(
    ("candidate", "twin", "said"),
    [
        (1.4, 1.3, "The hard-label twin beats the student of the recipe on held-out text: 1.413 against 1.312"),
        (1.2, 1.3, "The student of the recipe beats its hard-label twin on held-out text: 1.211 against 1.312"),
        (1.3, 1.3, "there is no sure difference on held-out text: 1.312 against 1.312"),
    ],
)
def test_the_twin_is_set_beside_the_student_and_its_victory_said_plainly(
    candidate: float, twin: float, said: str
) -> None:
    built, text = reported({"champion": scores(), "candidate": scores(candidate), "twin": scores(twin)})
    assert said in text
    won = "twin" if twin < candidate else "candidate"
    assert built["chosen"] == won
    assert ("The twin went before the gate" in text) is (won == "twin")
    assert f"| {won} - champion |" in text
    assert "| candidate - twin |" in text
    assert set(built["sides"]) == {"champion", "candidate", "twin"}


def test_without_a_twin_nothing_is_said_of_one() -> None:
    built, text = reported({"champion": scores(), "candidate": scores(1.3)})
    assert "twin" not in text
    assert built["twin"] == ""
    assert "# Molt 4: promoted" in text
    assert "- left out: 2 (thumb down)" in text
    assert report.title(built) == "30 replies of 9 conversations; held-out 1.514 -> 1.312 bits per byte"


def test_every_table_is_whole_and_names_what_style_is_read_by() -> None:
    _built, text = reported({"champion": scores(), "candidate": scores(1.3), "twin": scores(1.4)})
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 2
    for lines in tables:
        assert {line.count("|") for line in lines} == {lines[0].count("|")}
        assert len(lines) > 15
    assert "Of the teacher's own held-out replies 100 %" in text


def test_a_student_that_does_not_run_still_gets_its_report() -> None:
    built, text = reported({"champion": scores(), "candidate": Scores(fault="adapter.gguf: cut short")})
    assert "it does not run: adapter.gguf: cut short" in text
    assert built["heldout_bits_per_byte"] is None
    assert report.title(built).endswith("not judged")
