"""What an experiment's teachers answer, asked once for all arms, and what of it each arm learns: a set of its own."""

import shutil
import statistics
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from distill.config import load_config
from distill.dataset import hash_share
from distill.lab.experiment import Arm, Experiment
from distill.purify.asked import Asked, asked_of
from distill.purify.purified import keep, purified_taught
from distill.purify.session import Choice, chosen_by, studied
from distill.reporter import Reporter
from distill.teachers.prompts import sample
from distill.teachers.protocol import Question
from distill.teachers.replies import FILE, read_replies, teachers_dir
from distill.teachers.session import Gathered, Session, gather
from distill.teachers.taught import Taught
from memory.errors import TrainingError
from memory.home import Home

LOGS = "logs"
GUESSED_ANSWER_S = 20.0
"""Before a teacher has answered anything: a model of a billion parameters on two cores."""
FEWEST_TO_TIME = 3


def set_name(experiment: Experiment, arm: Arm) -> str:
    """The folder in HOME/teachers with what an arm learns; no teacher can have such a name."""
    size = "" if experiment.size == "full" else f"-{experiment.size}"
    return f"{experiment.name}{size}+{arm.name.replace(' ', '-')}"


def is_ready(home: Home, experiment: Experiment, arm: Arm) -> bool:
    """Whether what the arm learns beside the logs is there; an arm without teachers needs nothing."""
    return not arm.taught or (teachers_dir(home) / set_name(experiment, arm) / FILE).exists()


def remove_sets(home: Home, experiment: Experiment) -> None:
    """Forget what the arms learn; what the teachers answered stays."""
    for arm in experiment.arms:
        if arm.taught:
            shutil.rmtree(teachers_dir(home) / set_name(experiment, arm), ignore_errors=True)


def questions(home: Home, experiment: Experiment) -> list[Question]:
    """The questions asked: of the training side, with a logged reply that may be learnt, always the same ones.

    So every teacher answers what the log answers. Errors: TrainingError, UsageError.
    """
    assert experiment.teach is not None  # noqa: S101 - only experiments with teachers come here
    shares = [load_config(arm.recipe, experiment.settings_of(arm, 0)).heldout_share for arm in experiment.arms]
    answered = [
        question
        for question in gather(home).questions
        if question.logged is not None and hash_share(question.conversation) >= max(shares)
    ]
    return sample(answered, experiment.teach.questions)


def asking_s(home: Home, experiment: Experiment, asked: Sequence[Question]) -> float:
    """Seconds until all have answered, by the time between the answers they gave before; a guess where none did."""
    wanted = {(question.conversation, question.message) for question in asked}
    seconds = 0.0
    for name in experiment.teachers:
        replies = list(read_replies(teachers_dir(home) / name / FILE))
        times = [datetime.fromisoformat(reply.asked_at).timestamp() for reply in replies]
        between = [after - before for before, after in pairwise(times)]
        each = statistics.median(between) if len(between) >= FEWEST_TO_TIME else GUESSED_ANSWER_S
        seconds += each * len(wanted - {(reply.conversation, reply.message) for reply in replies})
    return seconds


def teach(home: Home, experiment: Experiment, arms: Sequence[Arm], reporter: Reporter, model_name: str) -> None:
    """Ask what was not asked yet, and make the set of every arm that has none.

    Errors: Stopped (every answer is kept), TrainingError, UsageError.
    """
    todo = [arm for arm in arms if not is_ready(home, experiment, arm)]
    if not todo:
        return
    wanted = questions(home, experiment)
    _ask(home, experiment, wanted, reporter)
    asked = _answered_by_all(home, experiment, wanted)
    for arm in todo:
        reporter.phase("collecting", f"{arm.name}: what {' and '.join(arm.taught)} say of {len(asked)} questions")
        try:
            learnt = _set(home, experiment, arm, asked, reporter, model_name)
        except TrainingError:
            reporter.check()  # it was stopped, and what was merged is kept
            raise
        keep(home, learnt, set_name(experiment, arm))
        reporter.check()


def _ask(home: Home, experiment: Experiment, wanted: list[Question], reporter: Reporter) -> None:
    names = [LOGS, *experiment.teachers]
    reporter.phase("collecting", f"asking {', '.join(names)} {len(wanted)} questions each")
    session = Session(home, names, Gathered(wanted), reporter.stop)
    for tally in session.run(0, lambda tally: reporter.step((), message=f"{tally.teacher}: {tally.stored} answers")):
        if tally.error:
            raise TrainingError(f"{tally.teacher}: {tally.error}")
    reporter.check()


def _answered_by_all(home: Home, experiment: Experiment, wanted: Sequence[Question]) -> list[Asked]:
    """The questions that the log and every teacher answered with reasons: what the arms share.

    Errors: TrainingError when there are none.
    """
    places = {(question.conversation, question.message) for question in wanted}
    names = set(experiment.teachers)
    found = []
    for one in asked_of(home, experiment.teachers, right_teacher=LOGS):
        of_all = {answer.teacher for answer in one.answers if answer.rationale.strip()} == names
        if one.right and of_all and (one.answers[0].conversation, one.answers[0].message) in places:
            found.append(one)
    if not found:
        raise TrainingError(
            f"{' and '.join(sorted(names))} gave reasons for none of the {len(wanted)} questions they share; take "
            "larger models in config.toml"
        )
    return found


def _set(
    home: Home, experiment: Experiment, arm: Arm, asked: Sequence[Asked], reporter: Reporter, model_name: str
) -> list[Taught]:
    """What an arm learns: every answer of its teachers, or one a question."""
    own = [replace(one, answers=tuple(a for a in one.answers if a.teacher in arm.taught)) for one in asked]
    if not arm.purify:
        return [answer for one in own for answer in one.answers]
    assert experiment.teach is not None  # noqa: S101 - the file was checked for it
    merging = experiment.teach.merge if arm.purify == "aggregate" else ""
    choice = Choice(arm.purify, arm.taught, right_teacher=LOGS, merging=merging, model=model_name)

    def show(text: str) -> None:
        reporter.step((), message=text)

    cases, _worth, lessons = studied(home, own, choice, show)
    return purified_taught(own, chosen_by(home, own, cases, lessons, choice, reporter.stop, show))
