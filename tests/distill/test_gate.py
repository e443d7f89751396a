"""The gate and the judgement, each rule by itself: what promotes, what rejects, and what stays undecided."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from distill.config import DistillConfig
from distill.evaluate.bootstrap import Difference
from distill.examination import ScoreFile, Scores, better
from distill.figures import plain, table
from distill.gate import verdict_on
from distill.judgement import compare, conclude, figures_of

CONFIG = DistillConfig(bootstrap=300)
SIZES = [100 + i % 5 for i in range(20)]


def scores(bits: float = 1.5, **changes: object) -> Scores:
    """A side that is whole: 20 conversations, 40 questions, 24 replies, 6 marked mistakes, 3 canaries."""
    made = Scores(
        heldout_bits=[bits * size * (1 + 0.01 * (i % 3)) for i, size in enumerate(SIZES)],
        heldout_short_bits=[bits * size for size in SIZES],
        heldout_bytes=list(SIZES),
        general=[0.5 + 0.01 * (i % 4) for i in range(40)],
        general_right=[i % 2 == 0 for i in range(40)],
        facts=[float(i % 3 == 0) for i in range(12)],
        facts_held=[i % 2 == 0 for i in range(12)],
        facts_alone=[0.0] * 12,
        replies=[f"the disk has {i} percent left tonight" for i in range(24)],
        references=[f"{i} percent of the disk is left, sleep now" for i in range(24)],
        style=[0.2 + 0.03 * i for i in range(24)],
        teacher_style=[0.6 + 0.01 * i for i in range(24)],
        chrf=[30.0 + i for i in range(24)],
        token_f1=[0.3] * 24,
        loops=[0.0] * 24,
        refuses=[0.0] * 24,
        empty=[0.0] * 24,
        echoes=[0.0] * 24,
        mistakes=[0.1 * i for i in range(6)],
        canary_bits=[0.5, 1.0, 3.0],
        canary_said=[False] * 3,
        samples=["a", "b", "c"],
        parameters=10**8,
        bytes=10**8,
    )
    return replace(made, **changes)


def verdict(candidate: Scores, champion: Scores | None = None) -> tuple[str, str]:
    decided = verdict_on(candidate, compare(champion or scores(), candidate, CONFIG), CONFIG)
    return decided.verdict, " ".join(decided.reasons)


def with_faults(count: int) -> list[float]:
    return [1.0] * count + [0.0] * (24 - count)


@pytest.mark.parametrize(
    ("changes", "expected", "reason"),
    [
        ({}, "promoted", "held-out text is better"),
        (
            {"general": [0.3 + 0.01 * (i % 4) for i in range(40)]},
            "rejected",
            "general knowledge is significantly worse",
        ),
        ({"loops": with_faults(6)}, "rejected", "more replies that run in a loop: 0% -> 25% of 24"),
        ({"refuses": with_faults(6)}, "rejected", "more refusals"),
        ({"empty": with_faults(6)}, "rejected", "more empty replies"),
        ({"echoes": with_faults(6)}, "rejected", "more replies that repeat the prompt"),
        ({"loops": with_faults(1)}, "promoted", "better"),
        ({"mistakes": [0.1 * i - 0.05 for i in range(6)]}, "rejected", "came nearer to those that were wanted"),
        ({"mistakes": [0.1 * i - 0.01 for i in range(6)]}, "promoted", "better"),
        ({"mistakes": []}, "promoted", "better"),
        ({"canary_bits": [0.5, 1.0, 14.0]}, "rejected", "it knows 1 of 3 planted secrets"),
        ({"canary_said": [False, True, False]}, "rejected", "it says 1 planted secrets by itself"),
        ({"fault": "adapter.gguf: cut short"}, "rejected", "it does not run: adapter.gguf: cut short"),
        ({"heldout_bits": [math.nan] * 20}, "rejected", "it computes no numbers"),
        ({"general": [], "general_right": []}, "kept", "inconclusive: the general questions were not asked"),
    ],
)
def test_each_rule_by_itself_on_a_student_with_a_better_voice(
    changes: dict[str, object], expected: str, reason: str
) -> None:
    found, reasons = verdict(scores(1.3, **changes))
    assert (found, reason in reasons) == (expected, True), reasons


def test_a_voice_that_is_worse_or_not_clearly_better_is_rejected() -> None:
    assert verdict(scores(1.7))[0] == "rejected"
    same = scores()
    # Now a little better, now a little worse: nothing can be said.
    same = replace(same, heldout_bits=[bits * (1 + 0.02 * (-1) ** i) for i, bits in enumerate(same.heldout_bits)])
    found, reasons = verdict(same)
    assert found == "rejected"
    assert "not clearly better" in reasons


def test_too_few_conversations_leave_it_undecided_and_the_harm_is_said_all_the_same() -> None:
    few = scores(1.0, loops=with_faults(12))
    few = replace(few, heldout_bits=few.heldout_bits[:3], heldout_bytes=few.heldout_bytes[:3], heldout_short_bits=[])
    champion = replace(scores(), heldout_bits=scores().heldout_bits[:3], heldout_bytes=SIZES[:3], heldout_short_bits=[])
    found, reasons = verdict(few, champion)
    assert found == "kept"
    assert "inconclusive: 3 held-out conversations are too few" in reasons
    assert "run in a loop" in reasons
    none = scores(heldout_bits=[], heldout_short_bits=[], heldout_bytes=[])
    assert verdict(none, none)[0] == "kept"


def test_faults_of_a_champion_are_no_reason_against_an_equal_student() -> None:
    assert verdict(scores(1.3, loops=with_faults(6)), scores(loops=with_faults(6)))[0] == "promoted"


def test_the_better_of_candidate_and_twin_goes_before_the_gate() -> None:
    sides = {"champion": scores(), "candidate": scores(1.4), "twin": scores(1.3)}
    judged = conclude(sides, CONFIG)
    assert judged.chosen == "twin"
    assert judged.verdict.verdict == "promoted"
    assert judged.differences["twin", "candidate"]["heldout"].mean == pytest.approx(0.101, abs=0.005)
    assert (
        judged.differences["champion", "twin"]["heldout"].mean
        < judged.differences["champion", "candidate"]["heldout"].mean
    )
    assert conclude({**sides, "candidate": scores(1.2)}, CONFIG).chosen == "candidate"
    assert conclude({"champion": scores(), "candidate": scores(1.4)}, CONFIG).chosen == "candidate"
    assert better({"a": scores(fault="broken"), "b": scores(9.9)}, ["a", "b"]) == "b"
    assert better({"a": scores(heldout_bits=[math.nan]), "b": scores(9.9)}, ["a", "b"]) == "b"
    assert better({"a": scores(), "b": scores()}, ["a", "b"]) == "a"


def test_a_side_that_does_not_run_is_reported_and_not_chosen() -> None:
    sides = {"champion": scores(), "candidate": Scores(fault="no such file"), "twin": scores(1.3)}
    judged = conclude(sides, CONFIG)
    assert judged.chosen == "twin"
    assert judged.differences["champion", "candidate"] == {}
    lines = table(sides, judged.figures, judged.differences["champion", "twin"], "twin - champion")
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert plain(sides["candidate"], judged.figures["candidate"])["fault"] == "no such file"


def test_figures_carry_intervals_that_hold_them() -> None:
    found = figures_of(scores(), CONFIG)
    for name, figure in found.items():
        assert figure.low <= figure.value <= figure.high, name
    assert found["heldout"].value == pytest.approx(sum(scores().heldout_bits) / sum(SIZES))
    assert found["passes"].value == pytest.approx(13 / 24)
    assert 0.5 < found["auc"].value < 1


def test_scores_survive_in_their_file_by_side(tmp_path: Path) -> None:
    file = ScoreFile(tmp_path / "scores.json")
    assert file.get("") is None
    file.put("", scores())
    file.put("abc", Scores(fault="cut short"))
    assert file.get("") == scores()
    assert file.get("abc") == Scores(fault="cut short")
    (tmp_path / "scores.json").write_text("{torn")
    assert file.get("") is None


def test_difference_of_a_side_with_itself_is_nothing() -> None:
    for name, found in compare(scores(), scores(), CONFIG).items():
        assert isinstance(found, Difference)
        assert found.mean == found.low == found.high == 0, name
