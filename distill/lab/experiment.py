"""An experiment as a small TOML file: hypothesis, arms, seeds, measures, and the rule that will decide."""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distill.purify.protocol import METHODS
from memory.errors import UsageError

FOLDER = Path(__file__).parent / "experiments"
SIZES = ("full", "quick")
COMMONSENSE = "commonsenseqa"
"""Data that no home has and that is not shipped: its folder is given with --data."""
GPT3 = "gpt3"
"""The teacher whose rationales come with CommonsenseQA."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train: a recipe with settings. ``x`` places it on the axis of a curve, None elsewhere; ``series`` says
    on which, "" on every one.

    ``needs`` names ``[teachers]`` tables of config.toml without which it is left out. ``taught`` are those of them
    whose answers to the questions of ``[teach]`` it learns beside the logs: all of them, or the one a question that
    the method ``purify`` (of ``distill/purify``) chooses or has merged.
    """

    name: str
    says: str
    recipe: str
    settings: tuple[str, ...]
    x: float | None = None
    needs: tuple[str, ...] = ()
    taught: tuple[str, ...] = ()
    purify: str = ""
    series: str = ""


@dataclass(frozen=True, slots=True)
class Teaching:
    """What teachers are asked, once for all arms: so many ``questions`` of the logs; ``merge`` merges what they say."""

    questions: int
    merge: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """A claim about the difference of two arms in a measure, taken so that more is better.

    Either ``at_least`` (``arm`` is better than ``against`` by this much or more) or ``at_most`` (by no more than this).
    """

    measure: str
    arm: str
    against: str
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """``settings`` hold for every arm, before its own; ``digest`` is of the file and the size it was read for.

    ``steps``: every arm trains this many rows, the first of its schedule; 0: each as many as it has. ``data`` is
    ``commonsenseqa`` where not the home's conversations are learnt but those questions, and ``judged`` how many of them
    are asked afterwards.
    """

    name: str
    hypothesis: str
    question: str
    size: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    settings: tuple[str, ...]
    measures: tuple[str, ...]
    rule: tuple[Condition, ...]
    digest: str
    steps: int = 0
    teach: Teaching | None = None
    data: str = ""
    judged: int = 0

    @property
    def teachers(self) -> tuple[str, ...]:
        """All whose answers some arm learns, each once."""
        return tuple(dict.fromkeys(name for arm in self.arms for name in arm.taught))

    def settings_of(self, arm: Arm, seed: int) -> list[str]:
        """``--set`` values of one training, the later ones before the earlier."""
        return [*self.settings, *arm.settings, f"seed={seed}"]


def names() -> list[str]:
    """The experiments that come with the program."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_experiment(name: str, size: str = "full") -> Experiment:
    """An experiment by its name, or by the path of a TOML file. Errors: UsageError, which names the place."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        known = ", ".join(names())
        raise UsageError(f"{name}: no such experiment ({error.strerror}); there are {known}, or give a file") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}; mend the file") from None
    digest = hashlib.sha256(f"{size}\n{text}".encode()).hexdigest()
    try:
        return _experiment(path.stem, values, size, digest)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{path}: {what}; see distill/lab/experiment.py for what a file holds") from None


def _experiment(name: str, values: Mapping[str, Any], size: str, digest: str) -> Experiment:
    from distill.lab.measures import MEASURES

    arms = [_arm(arm) for arm in values["arms"]]
    seeds, settings = values["seeds"], _texts(values.get("settings", ()))
    if size == "quick":
        quick = values["quick"]
        arms = [arm for arm in arms if arm.name in quick.get("arms", [a.name for a in arms])]
        of = quick.get("of", {})
        arms = [replace(arm, settings=_texts(of.get(arm.name, arm.settings))) for arm in arms]
        values = {**values, "steps": quick.get("steps", values.get("steps", 0))}
        values["judged"] = quick.get("judged", values.get("judged", 0))
        if "questions" in quick:
            values = {**values, "teach": {**values["teach"], "questions": quick["questions"]}}
        seeds, settings = quick.get("seeds", seeds), (*settings, *_texts(quick.get("settings", ())))
    known = {arm.name for arm in arms}
    if len(known) != len(arms) or "base" in known:
        raise ValueError("arms need names of their own, and none is called base")
    measures = _texts(values["measures"])
    if unknown := set(measures) - set(MEASURES):
        raise ValueError(f"there is no measure {unknown.pop()!r}; there are {', '.join(MEASURES)}")
    rule = [Condition(**condition) for condition in values["rule"]]
    for condition in rule:
        if condition.measure not in MEASURES:
            raise ValueError(f"the rule names the measure {condition.measure!r}; there are {', '.join(MEASURES)}")
        if (condition.at_least is None) == (condition.at_most is None):
            raise ValueError("a condition of the rule has either at_least or at_most")
    every = {arm["name"] for arm in values["arms"]} | {"base"}
    if unknown := {name for condition in rule for name in (condition.arm, condition.against)} - every:
        raise ValueError(f"the rule names the arm {unknown.pop()!r}, which is none of {', '.join(sorted(every))}")
    rule = [condition for condition in rule if {condition.arm, condition.against} <= known | {"base"}]
    if not (arms and seeds and measures and rule):
        raise ValueError("it needs at least one arm, one seed, one measure and one condition")
    teach = Teaching(**values["teach"]) if "teach" in values else None
    if values.get("data", COMMONSENSE) != COMMONSENSE or ("data" in values and not (teach and values.get("judged"))):
        raise ValueError(f"data is {COMMONSENSE} or not there; it needs judged, and questions in [teach]")
    _check_teaching(arms, teach)
    return Experiment(
        name,
        values["hypothesis"],
        values["question"],
        size,
        tuple(arms),
        tuple(int(seed) for seed in seeds),
        settings,
        measures,
        tuple(rule),
        digest,
        int(values.get("steps", 0)),
        teach,
        values.get("data", ""),
        int(values.get("judged", 0)),
    )


def _check_teaching(arms: Sequence[Arm], teach: Teaching | None) -> None:
    """Errors: ValueError where what an arm is taught cannot be collected."""
    for arm in arms:
        if arm.taught and (teach is None or teach.questions < 1):
            raise ValueError(f"the arm {arm.name} is taught: say in [teach] how many questions are asked")
        if arm.purify and (arm.purify not in METHODS or len(arm.taught) < 2):
            raise ValueError(f"the arm {arm.name} purifies two teachers or more, by one of {', '.join(METHODS)}")
        if arm.purify == "aggregate" and not (teach and teach.merge):
            raise ValueError(f"the arm {arm.name} needs merge in [teach]: the teacher who merges")


def _arm(values: Mapping[str, Any]) -> Arm:
    x = values.get("x")
    taught = _texts(values.get("taught", ()))
    return Arm(
        values["name"],
        values["says"],
        values["recipe"],
        _texts(values.get("settings", ())),
        None if x is None else float(x),
        tuple(dict.fromkeys((*_texts(values.get("needs", ())), *(name for name in taught if name != GPT3)))),
        taught,
        values.get("purify", ""),
        values.get("series", ""),
    )


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{values!r} should be a list of texts")
    return tuple(values)
