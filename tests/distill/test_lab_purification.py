"""The purification table: its data, what teachers say of it, what each arm learns, and a run that goes on."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from stand_in import Request, StandIn

from distill.__main__ import main
from distill.examination import Scores
from distill.lab.commonsense import OTHERS_FILE, TAUGHT_FILE, read_items
from distill.lab.experiment import read_experiment
from distill.lab.explainers import STORE, asked_of_items, missing
from distill.lab.purification import PurificationLab
from distill.lab.report import make_report, table
from distill.purify.asked import teachers_of
from distill.purify.distilling import Alternating, Material, Selection
from distill.reporter import Reporter, Stopped
from distill.teachers.replies import Replies
from memory.errors import UsageError
from memory.home import Home

THINGS = ("cup", "door", "lamp", "spoon", "ladder", "kettle", "blanket", "hammer", "mirror", "basket", "candle", "rope")
CHOICES = ("in a cloud", "in a house", "on the sun", "in a whale", "in a song")

TABLE = """
hypothesis = "T"
question = "Which teaches most?"
data = "commonsenseqa"
judged = 3
measures = ["accuracy", "general"]
seeds = [1]
settings = ["epochs=1", "lora_rank=2", "short_system=You answer questions."]

[teach]
questions = 6
merge = "far"
{arms}
[[rule]]
measure = "accuracy"
arm = "random"
against = "all"
at_least = 0.0
"""
ARMS = (
    ("labels", ""),
    ("one", 'taught = ["gpt3"]'),
    ("all", 'taught = ["gpt3", "far"]\nx = 2\nseries = "all"'),
    ("random", 'taught = ["gpt3", "far"]\npurify = "random"'),
    ("policy", 'taught = ["gpt3", "far"]\npurify = "reinforce"'),
)


def rows(taught: bool, places: Sequence[str]) -> str:
    lines = []
    for number, thing in enumerate(places):
        row: dict[str, Any] = {"id": f"{taught} {thing}", "question": f"Where does a {thing} stand?"}
        row |= {"choices": CHOICES, "answer": 1}
        if taught:
            letter = "BC"[number % 2]  # every second one is wrong
            row |= {"gpt3_rationale": f"A {thing} is used at home. So the answer is ({letter}).", "gpt3_answer": 1}
            row["gpt3_answer"] = "ABCDE".index(letter)
        lines.append(json.dumps(row))
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight questions with rationales and five others, one of them in the same words as a question that is learnt."""
    path = tmp_path / "csqa"
    path.mkdir()
    (path / TAUGHT_FILE).write_text(rows(True, THINGS[:8]))
    (path / OTHERS_FILE).write_text(rows(False, (*THINGS[8:], THINGS[0])))
    return path


@pytest.fixture
def server() -> Iterator[StandIn]:
    stand_in = StandIn(explain)
    yield stand_in
    stand_in.close()


def explain(request: Request) -> None:
    if request.question.endswith("The one explanation:"):
        request.good()
    elif "lamp" in request.question:
        request.send(200, request.message("I cannot say."))
    else:
        request.send(200, request.message("Houses hold such things.\nThe answer is (B)."))


@pytest.fixture
def asking(
    make_home: Callable[..., Home], prepared_embedder: Path, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> Home:
    """A home with one teacher who answers over HTTP."""
    home = make_home("table")
    assert prepared_embedder.samefile(home.models_dir)
    home.identity_dir.mkdir(parents=True, exist_ok=True)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("distill.reporter.signal.signal", lambda *_handler: None)  # pytest keeps its own
    with home.config_file.open("a") as file:
        file.write(f'\n[teachers.far]\nkind = "openai"\nmodel = "m"\nkey_env = ""\nbase_url = "{server.url}/v1"\n')
    return home


def experiment_file(tmp_path: Path) -> str:
    arms = "".join(f'\n[[arms]]\nname = "{name}"\nsays = "-"\nrecipe = "rationale"\n{more}\n' for name, more in ARMS)
    path = tmp_path / "small.toml"
    path.write_text(TABLE.format(arms=arms))
    return str(path)


def test_what_is_learnt_is_not_judged_and_both_are_bounded(folder: Path) -> None:
    learnt, judged = read_items(folder, 6, 3)
    assert (len(learnt), len(judged)) == (6, 3)
    assert read_items(folder, 6, 3) == (learnt, judged)
    assert set(read_items(folder, 4, 3)[0]) < set(learnt), "fewer are the first of more"
    all_judged = read_items(folder, 8, 4)[1]
    assert f"Where does a {THINGS[0]} stand?" not in {item.question for item in all_judged}
    assert learnt[0].text.endswith("\n(A) in a cloud\n(B) in a house\n(C) on the sun\n(D) in a whale\n(E) in a song")
    assert (learnt[0].right, learnt[0].letter) == ("in a house", "B")
    with pytest.raises(UsageError, match=r"holds 8 questions with rationales and 4 others; 6 and 5 are needed"):
        read_items(folder, 6, 5)
    with (folder / OTHERS_FILE).open("a") as file:
        file.write('{"id": "x", "question": "?", "choices": ["a"], "answer": 0}\n')
    with pytest.raises(UsageError, match=r"train-3000\.jsonl:6: no question"):
        read_items(folder, 6, 3)
    with pytest.raises(UsageError, match="give the folder of CommonsenseQA"):
        read_items(folder / "none", 6, 3)


class Learnt:
    """What ``distil`` was given, in place of a training."""

    def __init__(self) -> None:
        self.by_arm: list[tuple[list[Material], Selection]] = []

    def __call__(
        self, _student: object, materials: list[Material], rows: list[object], _prefix: object, selection: Selection,
        *_rest: object, **_more: object,
    ) -> bool:  # fmt: skip
        assert len(rows) == -(-len(materials) // 4)
        self.by_arm.append((materials, selection))
        return True


class Nobody:
    """A student that is never used."""

    model = base = None


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch) -> Learnt:
    found = Learnt()
    monkeypatch.setattr("distill.lab.purification.distil", found)
    monkeypatch.setattr("distill.lab.purification.PurificationLab._student", lambda *_a: Nobody())
    monkeypatch.setattr("distill.lab.purification.PurificationLab._exported", lambda *_a: None)
    scores = Scores(general=[0.2, 0.3, 0.4], general_right=[True, False, True])
    monkeypatch.setattr("distill.lab.purification.PurificationLab._scores", lambda *_a: scores)
    return found


def test_each_arm_learns_its_rationales_and_nobody_is_asked_twice(
    asking: Home, folder: Path, server: StandIn, learnt: Learnt, tmp_path: Path
) -> None:
    experiment = read_experiment(experiment_file(tmp_path))

    def lab() -> PurificationLab:
        return PurificationLab(asking, experiment, Reporter(None), folder)

    begun = lab()
    assert begun.estimate().trainings == len(ARMS)
    assert begun.estimate().ask_s > 0
    assert missing(asking, ["far"], begun.learnt) == 6
    assert server.requests == []

    def stop(result: object) -> None:
        if getattr(result, "arm", "") == "all":
            raise Stopped

    with pytest.raises(Stopped):
        begun.go(stop)
    asked = len(server.requests)
    assert asked == 6
    results = lab().go()
    assert [result.arm for result in results] == ["base", *(name for name, _more in ARMS)]
    assert len(server.requests) == asked
    assert lab().estimate().trainings == 0

    by_arm = dict(zip((name for name, _more in ARMS), learnt.by_arm, strict=True))
    words = {name: [sorted(material.explain) for material in found] for name, (found, _s) in by_arm.items()}
    lamp = sum("lamp" in item.question for item in begun.learnt)  # the question that far does not answer
    assert words["labels"] == [[]] * 6
    assert words["one"] == [["gpt3"]] * 6
    assert sorted(words["all"]) == sorted([["far", "gpt3"]] * (6 - lamp) + [["gpt3"]] * lamp)
    assert words["random"] == [["chosen"]] * 6
    assert words["policy"] == words["all"]
    assert isinstance(by_arm["policy"][1], Alternating)
    assert by_arm["all"][1].choose([0]) == [tuple(by_arm["all"][0][0].explain)]

    assert teachers_of(asking) == [], "no training of the home learns these answers"
    assert len(Replies(asking, f"far{STORE}")) == 6
    report = make_report(experiment, results, {})
    assert any(line.startswith("| random | 66.7 (") for line in table(report))


def test_what_teachers_said_is_read_by_its_letter(asking: Home, folder: Path, learnt: Learnt, tmp_path: Path) -> None:
    experiment = read_experiment(experiment_file(tmp_path))
    lab = PurificationLab(asking, experiment, Reporter(None), folder)
    lab.go()
    for one in asked_of_items(asking, ["far"], lab.learnt):
        by_name = {answer.teacher: answer for answer in one.answers}
        assert one.right == "(B)"
        assert by_name["gpt3"].reply in ("(B)", "(C)")
        assert by_name["gpt3"].rationale.endswith("is used at home.")
        if "far" in by_name:
            assert (by_name["far"].reply, by_name["far"].rationale) == ("(B)", "Houses hold such things.")


def test_bad_use_is_one_line(asking: Home, tmp_path: Path) -> None:
    name = experiment_file(tmp_path)
    done = CliRunner().invoke(main, ["lab", "run", name, "--home", str(asking.root)])
    assert (done.exit_code, "which is not shipped: --data FOLDER" in done.stderr) == (2, True), done.stderr
    done = CliRunner().invoke(main, ["lab", "run", name, "--home", str(asking.root), "--data", str(tmp_path)])
    assert (done.exit_code, "give the folder of CommonsenseQA" in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
def test_an_arm_is_trained_and_judged_as_it_runs(asking: Home, folder: Path, tmp_path: Path) -> None:
    text = Path(experiment_file(tmp_path)).read_text()
    few = text[: text.index('[[arms]]\nname = "one"')] + text[text.index('[[arms]]\nname = "policy"') :]
    path = tmp_path / "few.toml"
    path.write_text(few.replace('arm = "random"\nagainst = "all"', 'arm = "policy"\nagainst = "labels"'))
    arguments = ["lab", "run", str(path), "--home", str(asking.root), "--data", str(folder), "--json"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.stderr
    built = json.loads(done.stdout)
    assert set(built["values"]["accuracy"]) == {"base", "labels", "policy"}
    base, policy = (built["values"]["general"][arm]["value"] for arm in ("base", "policy"))
    assert policy > base, "six answers of one kind are learnt"
    assert (asking.root / "lab" / "few" / "plot.png").read_bytes().startswith(b"\x89PNG")
