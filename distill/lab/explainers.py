"""Has local and remote teachers explain multiple choice questions, a bounded number, and reads their answers."""

import re
import threading
from collections.abc import Callable, Sequence

from distill.lab.commonsense import LETTERS, Item
from distill.lab.experiment import GPT3
from distill.purify.answers import final_choice
from distill.purify.asked import Asked
from distill.teachers.protocol import Question
from distill.teachers.replies import FILE, Reply, read_replies, teachers_dir
from distill.teachers.session import Gathered, Session
from distill.teachers.settings import AnySettings, WritingSettings, read_teachers
from distill.teachers.taught import Taught
from memory.errors import TrainingError, UsageError
from memory.home import Home
from molting_agent.runtime.prompt import ChatTurn
from molting_agent.runtime.template import Message

SYSTEM = """You answer multiple choice questions. Explain in one or two sentences why one choice fits best, then write \
the last line: The answer is (X)."""
REPLY_TOKENS = 160
CONTEXT_TOKENS = 1024
STORE = "+commonsenseqa"
"""Behind a teacher's name: the folder of these answers, which no training of the home learns as his."""
_LAST_LINE = re.compile(r"\s*(?:so |therefore,? |thus,? )?the answer is:?\s*\**\(?[A-E]\)?[^\n]*\Z", re.IGNORECASE)


def ask(
    home: Home, names: Sequence[str], items: Sequence[Item], stop: threading.Event, show: Callable[[str], None]
) -> None:
    """Have the named teachers of the home answer what they have not answered yet; each answer is kept at once.

    Errors: UsageError (no such teacher), TrainingError (a teacher failed).
    """
    if not names:
        return
    gathered = Gathered([_question(item) for item in items])
    session = Session(home, names, gathered, stop, store=STORE, adjust=_short)
    for tally in session.run(0, lambda tally: show(f"{tally.teacher}: {tally.known + tally.stored:,} answers")):
        if tally.error:
            raise TrainingError(f"{tally.teacher}: {tally.error}")


def missing(home: Home, names: Sequence[str], items: Sequence[Item]) -> int:
    """How many answers are still to be collected."""
    wanted = {_question(item).message for item in items}
    return sum(len(wanted - {reply.message for reply in _replies(home, name)}) for name in names)


def check(home: Home, names: Sequence[str]) -> None:
    """Errors: UsageError where a teacher of the home cannot explain."""
    known = read_teachers(home)
    for name in names:
        if not isinstance(known.get(name), WritingSettings):
            there = ", ".join(name for name, settings in known.items() if isinstance(settings, WritingSettings))
            raise UsageError(f"{name} is no teacher who writes; there are: {there} (or add [teachers.{name}])")


def asked_of_items(home: Home, names: Sequence[str], items: Sequence[Item]) -> list[Asked]:
    """The questions with what GPT-3 and these teachers said: reply ``(X)``, rationale without that last line.

    A teacher whose answer was cut or names no letter is missing from that question.
    """
    stored = {name: {reply.message: reply for reply in _replies(home, name)} for name in names}
    found = []
    for item in items:
        question = _question(item)
        said = {GPT3: item.rationale}
        letters = {GPT3: LETTERS[item.said] if item.said >= 0 else final_choice(item.rationale)}
        for name in names:
            reply = stored[name].get(question.message)
            if reply is not None and reply.status == "ok" and final_choice(reply.reply):
                said[name], letters[name] = reply.reply, final_choice(reply.reply)
        answers = [
            _answer(question, name, f"({letters[name]})" if letters[name] else "", _LAST_LINE.sub("", text).strip())
            for name, text in said.items()
        ]
        found.append(Asked(item.text, tuple(one for one in answers if one.rationale), f"({item.letter})"))
    return found


def _short(settings: AnySettings) -> AnySettings:
    """No form around the answer, and a short one: small models keep to a plain request better."""
    return settings.model_copy(
        update={"rationale": False, "max_tokens": REPLY_TOKENS, "context_tokens": CONTEXT_TOKENS}
    )


def _question(item: Item) -> Question:
    name = f"prompt-{item.name}"
    return Question(name, name, SYSTEM, (ChatTurn("user", item.text),), (name,), source="file")


def _replies(home: Home, name: str) -> list[Reply]:
    return list(read_replies(teachers_dir(home) / f"{name}{STORE}" / FILE))


def _answer(question: Question, teacher: str, reply: str, rationale: str) -> Taught:
    messages = (Message("user", question.history[-1].text), Message("assistant", reply, target=True))
    return Taught(
        question.conversation,
        question.message,
        question.context_ids,
        messages,
        reply,
        rationale,
        teacher,
        teacher,
        f"{teacher} {question.message}",
        "",
    )
