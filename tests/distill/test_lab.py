"""Experiments: files and their mistakes, intervals by hand, the rule, and a run that is killed and goes on."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from talks import QUICK

from distill.__main__ import main
from distill.evaluate.exam import Exam
from distill.examination import Scores
from distill.lab.experiment import SIZES, Condition, Experiment, names, read_experiment
from distill.lab.folder import LabFolder, Result
from distill.lab.measures import MEASURES
from distill.lab.report import bars, make_report, to_dict, to_markdown
from distill.lab.run import Lab
from distill.lab.statistics import Estimate, difference, estimate
from distill.lab.verdict import INCONCLUSIVE, REFUTED, SUPPORTED, decide
from distill.reporter import Reporter, Stopped
from distill.sides import Side
from distill.state import RunState, StudentFolder
from memory.errors import TrainingError, UsageError
from memory.home import Home

FILE = """
hypothesis = "H1"
question = "Is the second better?"
measures = ["heldout", "style"]
seeds = [1]
settings = {settings}

[[arms]]
name = "one"
says = "plain"
recipe = "sft"

[[arms]]
name = "two"
says = "reasons too"
recipe = "rationale"

[[rule]]
measure = "heldout"
arm = "two"
against = "one"
at_least = 0.0

[quick]
settings = []
"""


def written(tmp_path: Path, text: str = FILE.format(settings="[]")) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", names())
def test_every_experiment_that_ships_can_be_read_and_its_settings_make_sense(name: str, size: str) -> None:
    from distill.config import load_config

    experiment = read_experiment(name, size)
    assert experiment.rule
    assert len({arm.name for arm in experiment.arms}) > 1
    for arm in experiment.arms:
        for seed in experiment.seeds:
            assert load_config(arm.recipe, experiment.settings_of(arm, seed)).seed == seed


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("seeds = [1]", "seeds = [", "mend the file"),
        ("seeds = [1]", "", "'seeds' is missing"),
        ('"style"]', '"charm"]', "there is no measure 'charm'"),
        ('measure = "heldout"', 'measure = "charm"', "the rule names the measure 'charm'"),
        ('against = "one"', 'against = "three"', "the rule names the arm 'three'"),
        ('name = "two"', 'name = "one"', "arms need names of their own"),
        ("at_least = 0.0", "at_least = 0.0\nat_most = 1.0", "either at_least or at_most"),
        ("settings = []\n\n[[arms]]", 'settings = "no list"\n\n[[arms]]', "should be a list of texts"),
        ("seeds = [1]", "seeds = []", "at least one arm, one seed"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_names_it(tmp_path: Path, before: str, after: str, said: str) -> None:
    text = FILE.format(settings="[]")
    assert before in text
    path = written(tmp_path, text.replace(before, after, 1))
    with pytest.raises(UsageError) as caught:
        read_experiment(str(path))
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(UsageError, match=r"there are .*h009"):
        read_experiment("h999")


# -- statistics --------------------------------------------------------------------------------------------------------


def test_the_estimate_is_a_ratio_of_sums_and_its_interval_holds_it() -> None:
    found = estimate([[10.0, 30.0], [20.0, 40.0]], [10.0, 30.0], resamplings=2000, seed=1)
    assert found.value == pytest.approx((15 + 35) / 40)
    assert found.low <= found.value <= found.high
    # Two seeds and two items: the least and the greatest that can be drawn are a seed and an item alone.
    assert found.low == pytest.approx(10 / 10)
    assert found.high == pytest.approx(20 / 10)


def test_the_same_values_leave_no_interval_and_seeds_widen_it() -> None:
    even = estimate([[0.5] * 9] * 3, [1.0] * 9, resamplings=300, seed=1)
    assert (even.value, even.low, even.high) == (0.5, 0.5, 0.5)
    apart = estimate([[0.2] * 9, [0.5] * 9, [0.8] * 9], [1.0] * 9, resamplings=4000, seed=1)
    assert apart.low == pytest.approx(0.2)
    assert apart.high == pytest.approx(0.8)


def test_a_difference_is_taken_in_pairs_and_the_base_stands_against_every_seed() -> None:
    base = [[1.0, 5.0, 9.0]]
    arms = [[1.1, 5.1, 9.1], [1.3, 5.3, 9.3]]
    found = difference(arms, base, [1.0] * 3, resamplings=500, seed=1)
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.3))


# -- the rule ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_least", "at_most", "interval", "expected"),
    [
        (0.0, None, (0.01, 0.03), SUPPORTED),
        (0.0, None, (-0.01, 0.03), INCONCLUSIVE),
        (0.0, None, (-0.03, -0.01), REFUTED),
        (0.0, None, (0.0, 0.0), REFUTED),
        (0.1, None, (0.01, 0.09), REFUTED),
        (0.1, None, (0.11, 0.2), SUPPORTED),
        (None, 0.02, (-0.05, 0.01), SUPPORTED),
        (None, 0.02, (0.03, 0.05), REFUTED),
        (None, 0.02, (0.0, 0.05), INCONCLUSIVE),
    ],
)
def test_each_condition(
    at_least: float | None, at_most: float | None, interval: tuple[float, float], expected: str
) -> None:
    condition = Condition("heldout", "two", "one", at_least, at_most)
    measured = Estimate(sum(interval) / 2, *interval)
    verdict, (found,) = decide([condition], lambda _condition: measured)
    assert verdict == expected
    assert "two against one" in found.text


def test_one_condition_that_fails_refutes_and_one_that_is_open_leaves_it_open() -> None:
    yes, open_, no = Estimate(1, 0.5, 2), Estimate(0, -1, 1), Estimate(-1, -2, -0.5)
    for measured, expected in (
        ([yes, yes], SUPPORTED),
        ([yes, open_], INCONCLUSIVE),
        ([open_, no], REFUTED),
        ([yes, no], REFUTED),
    ):
        conditions = [Condition("heldout", "two", str(number), 0.0) for number in range(2)]
        assert decide(conditions, lambda c, m=measured: m[int(c.against)])[0] == expected  # type: ignore[misc]


# -- the report --------------------------------------------------------------------------------------------------------


def scored(bits: float, style: float) -> Scores:
    return Scores(
        heldout_bits=[bits * size for size in (90, 100, 110)],
        heldout_short_bits=[bits * size for size in (90, 100, 110)],
        heldout_bytes=[90, 100, 110],
        style=[style, style + 0.1],
        replies=["a", "b"],
        facts=[1.0, 0.0],
        facts_alone=[0.0, 0.0],
    )


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return read_experiment(str(written(tmp_path)))


def results(two: float) -> list[Result]:
    return [Result("base", 0, scored(1.5, 0.2)), Result("one", 1, scored(1.3, 0.6)), Result("two", 1, scored(two, 0.7))]


def test_fewer_bits_are_better_and_the_report_says_what_was_decided(experiment: Experiment) -> None:
    for two, verdict in ((1.2, SUPPORTED), (1.4, REFUTED)):
        made = make_report(experiment, results(two), {})
        assert made.sentence == f"H1 is {verdict}."
        text = to_markdown(made, plot="plot.png")
        assert text.startswith(f"# H1: {verdict}\n")
        assert f"| two | {two:.3f} ({two:.3f} to {two:.3f}) |" in text
        assert "| base | 1.500" in text
        assert json.loads(json.dumps(to_dict(made)))["values"]["heldout"]["two"]["value"] == pytest.approx(two)
    assert all(len(line) < 90 for line in bars(make_report(experiment, results(1.2), {})).splitlines())


def test_what_has_not_run_leaves_it_open(experiment: Experiment) -> None:
    made = make_report(experiment, results(1.2)[:2], {})
    assert made.verdict == "open"
    needs = make_report(experiment, results(1.2)[:2], {"two": "qwen"})
    assert needs.sentence == "H1 is open: two needs a [teachers.qwen] table in config.toml."
    assert "Left out: two" in to_markdown(needs)
    assert made.sentence == "H1 is open: two, seed 1, has not run yet."
    assert "| one |" in to_markdown(made)


def test_every_measure_has_a_weight_for_every_value() -> None:
    whole = replace(scored(1.3, 0.6), general=[0.5], general_right=[True], chrf=[30.0], token_f1=[0.3])
    for name, measure in MEASURES.items():
        assert len(measure.values(whole)) == len(measure.weights(whole)) > 0, name
    assert sum(MEASURES["wavering"].values(scored(1.3, 0.6))) == pytest.approx(0.1)


def test_a_rule_is_not_changed_after_the_run(tmp_path: Path, home: Home, experiment: Experiment) -> None:
    folder = LabFolder(home, experiment)
    folder.open(experiment)
    folder.add(results(1.2)[0])
    with folder.results.open("a") as file:
        file.write('{"arm": "one", "se')  # a kill while writing
    folder.add(results(1.2)[1])
    assert [result.arm for result in folder.read()] == ["base", "one"]
    changed = read_experiment(str(written(tmp_path, FILE.format(settings="[]").replace("at_least", "at_most"))))
    with pytest.raises(TrainingError, match="a rule is not changed after the run"):
        LabFolder(home, changed).open(changed)


def test_what_is_forgotten_leaves_the_words_of_an_experiment_and_not_its_figures(
    home: Home, experiment: Experiment
) -> None:
    from distill.forget import forget

    folder = LabFolder(home, experiment)
    folder.open(experiment)
    for result in results(1.2):
        folder.add(result)
    exam = folder.path / "exam.json"
    work = folder.path / "work" / "two-1"
    work.mkdir(parents=True)

    def begun() -> None:
        exam.write_text(json.dumps({"heldout": [{"conversation": "talk-1"}]}))

    begun()
    assert forget(home, ["talk-2"]) == 0
    assert exam.exists()
    assert forget(home, ["talk-1"]) == 1
    assert not exam.exists()
    assert not work.exists()
    kept = folder.read()
    assert [result.scores.heldout_bits for result in kept] == [r.scores.heldout_bits for r in results(1.2)]
    assert all(result.scores.replies == [] for result in kept)
    assert make_report(experiment, kept, {}).verdict == SUPPORTED


# -- a run -------------------------------------------------------------------------------------------------------------


def lab(home: Home, *arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["lab", *arguments, "--home", str(home.root)])
    return done.exit_code, done.stdout, done.stderr


def test_stopped_after_an_arm_it_goes_on_with_the_next_by_the_exam_of_the_first(
    taught_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan is real; what trains and judges is not: see the slow test for the whole."""
    asked: list[tuple[str, int, int]] = []
    exams = []

    def train(state: RunState, folder: StudentFolder, *_rest: object, **_more: object) -> dict[str, float]:
        asked.append((state.config.rationale, state.config.seed, len(state.rows)))
        return {"train_s": 3.0}

    def judge(sides: list[Side], _base: object, exam: Exam, *_rest: object, **_more: object) -> object:
        exams.append(exam)
        return {side.name: scored(1.5 if side.name == "base" else 1.3, 0.4) for side in sides}, 1

    def stop(result: Result) -> None:
        if result.arm == "base":
            raise Stopped

    monkeypatch.setattr("distill.reporter.signal.signal", lambda *_handler: None)  # pytest keeps its own
    monkeypatch.setattr("distill.lab.run.train_student", train)
    monkeypatch.setattr("distill.lab.run.examine_sides", judge)
    settings = json.dumps([*QUICK, "reading_share=0", "epochs=1"])
    text = FILE.format(settings=settings).replace("seeds = [1]", "seeds = [1]\nsteps = 2")
    found = read_experiment(str(written(tmp_path, text)))
    with pytest.raises(Stopped):
        Lab(taught_home, found, Reporter(None)).go(stop)
    assert asked == [("off", 1, 2)]
    results = Lab(taught_home, found, Reporter(None)).go()
    assert asked == [("off", 1, 2), ("two-task", 1, 2)]
    assert [(result.arm, result.steps) for result in results] == [("one", 2), ("base", 0), ("two", 2)]
    assert exams[0] == exams[1] == exams[2]
    assert not list((LabFolder(taught_home, found).path / "work").iterdir())


@pytest.mark.slow
def test_killed_in_the_second_arm_it_keeps_the_first_and_decides(
    taught_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # other tests may run beside it
    path = written(tmp_path, FILE.format(settings=json.dumps([*QUICK, "reading_share=0"])))
    kept = taught_home.root / "lab" / "mine" / "results.jsonl"
    command = [sys.executable, "-m", "distill", "lab", "run", str(path), "--home", str(taught_home.root)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None and not (kept.exists() and kept.read_text().count("\n") >= 2):
        time.sleep(0.05)
    time.sleep(0.5)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = kept.read_text()
    assert before.count("\n") == 2, "the first arm and the base"
    code, out, err = lab(taught_home, "report", str(path))
    assert code == 0, err
    assert "H1 is open: two, seed 1, has not run yet." in out
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    built = json.loads(done.stdout)
    assert built["verdict"] in (SUPPORTED, REFUTED, INCONCLUSIVE)
    assert kept.read_text().startswith(before), "what was measured is not measured again"
    assert set(built["values"]["heldout"]) == {"base", "one", "two"}
    assert not list((kept.parent / "work").iterdir())
    assert (kept.parent / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert (kept.parent / "report.md").read_text().startswith("# H1: ")
    code, out, err = lab(taught_home, "run", str(path), "--plan")
    assert (code, out) == (0, ""), err
    assert "0 trainings left" in err


def test_bad_use_is_one_line(home: Home, tmp_path: Path) -> None:
    for arguments, expected in (
        (["report", "h009"], "has not run in this home"),
        (["run", "h999"], "no such experiment"),
    ):
        code, out, err = lab(home, *arguments)
        assert (code > 0, out, err.count("\n"), expected in err) == (True, "", 1, True), err
    code, _out, err = lab(Home(tmp_path / "none"), "report", "h009")
    assert (code, "is no home" in err) == (2, True)
    code, out, _err = lab(home, "ls")
    assert code == 0
    assert "h009" in out
