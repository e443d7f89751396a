"""Arms that learn what other teachers say: asked once for all of them, bounded, and each with a set of its own."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from stand_in import Request, StandIn
from talks import QUICK

from distill.evaluate.exam import Exam
from distill.examination import Scores
from distill.lab.experiment import read_experiment
from distill.lab.run import Lab, remove
from distill.lab.teaching import GUESSED_ANSWER_S, is_ready, questions, set_name
from distill.reporter import Reporter, Stopped
from distill.sides import Side
from distill.state import RunState, StudentFolder
from distill.teachers.replies import FILE, read_replies, teachers_dir
from memory.errors import UsageError
from memory.home import Home

FILE_TEXT = """
hypothesis = "H1"
question = "Does a second voice harm?"
measures = ["heldout"]
seeds = [1]
steps = 1
settings = {settings}

[teach]
questions = 4
merge = "near"

[[arms]]
name = "one"
says = "the logs"
recipe = "rationale"

[[arms]]
name = "both"
says = "and all that two teachers say"
recipe = "rationale"
taught = ["far", "near"]

[[arms]]
name = "drawn"
says = "one answer a question"
recipe = "rationale"
taught = ["far", "near"]
purify = "random"

[[arms]]
name = "merged"
says = "both reasons in one"
recipe = "rationale"
taught = ["far", "near"]
purify = "aggregate"

[[rule]]
measure = "heldout"
arm = "one"
against = "both"
at_least = 0.0
"""


@pytest.fixture
def server() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.close()


@pytest.fixture
def asked_home(taught_home: Home, prepared_embedder: Path, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with two teachers who answer over HTTP; what trains and judges is not real."""
    assert prepared_embedder.samefile(taught_home.models_dir)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("distill.reporter.signal.signal", lambda *_handler: None)  # pytest keeps its own
    with taught_home.config_file.open("a") as file:
        for name in ("far", "near"):
            file.write(
                f'\n[teachers.{name}]\nkind = "openai"\nmodel = "{name}"\nkey_env = ""\nbase_url = "{server.url}/v1"\n'
            )
    return taught_home


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The tasks of the examples that each arm would have trained on, by the set it is taught."""
    found: dict[str, list[str]] = {}

    def train(state: RunState, _folder: StudentFolder, *_rest: object, **_more: object) -> dict[str, float]:
        found[state.config.taught] = [example.task for example in state.examples]
        return {"train_s": 3.0}

    def judge(sides: list[Side], _base: object, _exam: Exam, *_rest: object, **_more: object) -> object:
        scores = Scores(heldout_bits=[90.0], heldout_short_bits=[90.0], heldout_bytes=[60])
        return {side.name: scores for side in sides}, 1

    monkeypatch.setattr("distill.lab.run.train_student", train)
    monkeypatch.setattr("distill.lab.run.examine_sides", judge)
    return found


def written(tmp_path: Path, text: str = "") -> str:
    path = tmp_path / "voices.toml"
    settings = json.dumps([*QUICK, "reading_share=0", "epochs=1"])
    path.write_text(text or FILE_TEXT.replace("{settings}", settings))
    return str(path)


def test_teachers_are_asked_once_for_all_arms_and_each_arm_learns_its_own_set(
    asked_home: Home, server: StandIn, learnt: dict[str, list[str]], tmp_path: Path
) -> None:
    experiment = read_experiment(written(tmp_path))
    begun = Lab(asked_home, experiment, Reporter(None))
    estimate = begun.estimate()
    assert estimate.ask_s == 2 * 4 * GUESSED_ANSWER_S
    assert "of asking teachers" in estimate.text
    assert server.requests == [], "an estimate asks nobody"

    def stop_in_the_second(request: Request) -> None:
        if request.json["model"] == "near":
            begun.reporter.stop.set()
        request.good()

    server.behave = stop_in_the_second
    with pytest.raises(Stopped):
        begun.go()
    asked_before = len(server.requests)
    assert asked_before > 4
    server.behave = Request.good
    lab = Lab(asked_home, experiment, Reporter(None))
    results = lab.go()
    assert [result.arm for result in results] == ["one", "base", "both", "drawn", "merged"]
    asked = [request for request in server.requests if "[explain]" not in request.question]
    merges = [request for request in asked if request.question.endswith("The one explanation:")]
    # Four questions to each of two teachers, none of them twice, and one merge a question.
    assert len(asked) - len(merges) == 8
    assert len({(request.json["model"], request.question) for request in asked}) == len(asked)
    assert len(merges) == 4
    assert lab.estimate().ask_s == 0

    sets = {arm.name: set_name(experiment, arm) for arm in experiment.arms[1:]}
    kept = {name: list(read_replies(teachers_dir(asked_home) / folder / FILE)) for name, folder in sets.items()}
    assert {name: len(replies) for name, replies in kept.items()} == {"both": 8, "drawn": 4, "merged": 4}
    wanted = {(question.conversation, question.message) for question in questions(asked_home, experiment)}
    for replies in kept.values():
        assert {(reply.conversation, reply.message) for reply in replies} == wanted
    tasks = {name: learnt[folder] for name, folder in {"one": "", **sets}.items()}
    extra = {name: len(found) - len(tasks["one"]) for name, found in tasks.items()}
    assert extra == {"one": 0, "both": 16, "drawn": 8, "merged": 8}  # a reply and its reasons for each

    remove(asked_home, experiment)
    assert not any(is_ready(asked_home, experiment, arm) for arm in experiment.arms[1:])
    assert list(read_replies(teachers_dir(asked_home) / "far" / FILE)), "what was answered is never asked again"


def test_nothing_is_collected_twice(
    asked_home: Home, learnt: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distill import run

    collected: list[int] = []
    real = run.collect

    def counted(*arguments: object) -> object:
        collected.append(1)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("distill.run.collect", counted)
    text = Path(written(tmp_path)).read_text()
    first_arm = text[: text.index('[[arms]]\nname = "both"')] + text[text.index("[[rule]]") :]
    experiment = read_experiment(written(tmp_path, first_arm.replace('against = "both"', 'against = "base"')))
    lab = Lab(asked_home, experiment, Reporter(None))
    lab.estimate()
    lab.go()
    assert len(collected) == 1


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("questions = 4", "questions = 0", "how many questions are asked"),
        ('purify = "random"', 'purify = "charm"', "by one of plackett-luce"),
        ('taught = ["far", "near"]\npurify = "random"', 'taught = ["far"]\npurify = "random"', "two teachers or more"),
        ('merge = "near"', "", "needs merge in"),
        ("questions = 4", "number = 4", "see distill/lab/experiment.py"),
    ],
)
def test_a_mistake_in_what_is_taught_is_named(tmp_path: Path, before: str, after: str, said: str) -> None:
    text = Path(written(tmp_path)).read_text()
    assert before in text
    with pytest.raises(UsageError, match=said):
        read_experiment(written(tmp_path, text.replace(before, after)))


def test_the_quick_size_may_ask_less() -> None:
    full, quick = (read_experiment("h010", size) for size in ("full", "quick"))
    assert full.teach is not None
    assert quick.teach is not None
    assert quick.teach.questions < full.teach.questions
    assert quick.teach.merge == full.teach.merge
    assert set_name(full, full.arms[1]) != set_name(quick, full.arms[1])
    assert asdict(quick.teach).keys() == {"questions", "merge"}
