"""Aggregation: a writing teacher merges all rationales of a question into one; every merged text is kept at once."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from distill.purify.asked import Asked
from distill.purify.facts import shared_facts_kept
from distill.purify.protocol import Case, Purified
from distill.teachers.collect import Budget, Collector, Tally, to_ask
from distill.teachers.opening import open_teacher, settings_of
from distill.teachers.prompts import prompt_of
from distill.teachers.protocol import Question, Teacher
from distill.teachers.replies import Replies, locked
from distill.teachers.session import tokenizer
from distill.teachers.settings import WritingSettings, read_teachers
from memory.errors import TrainingError, UsageError
from memory.home import Home
from molting_agent.runtime.prompt import ChatTurn

SYSTEM = """You merge explanations. You are given a question and several explanations of how to answer it. Write one \
explanation of one to five sentences that keeps what they agree on, keeps every number and name that at least two of \
them give, leaves out what contradicts the rest, and adds nothing of your own. Write the explanation alone."""


def merge_prompt(question: str, rationales: Sequence[str], right: str = "") -> str:
    """What the merging teacher is asked; explanations are numbered and their teachers not named, so that none counts
    more. ``right`` is the right answer where it is known."""
    parts = [f"Question:\n{question.strip()}"]
    parts += [f"Explanation {number}:\n{text.strip()}" for number, text in enumerate(rationales, 1)]
    if right.strip():
        parts.append(f"The right answer:\n{right.strip()}")
    return "\n\n".join([*parts, "The one explanation:"])


def merging_question(asked: Asked) -> Question:
    """The merging of one question as a question to a teacher; it is forgotten with the messages it was made from."""
    first = asked.answers[0]
    ids = dict.fromkeys(name for answer in asked.answers for name in answer.context_ids)
    rationales = [answer.rationale for answer in asked.answers if answer.rationale.strip()]
    return Question(
        conversation=first.conversation,
        message=first.message,
        system=SYSTEM,
        history=(ChatTurn("user", merge_prompt(asked.question, rationales, asked.right)),),
        context_ids=tuple(ids),
        started_at=first.started_at,
        source="file" if first.conversation.startswith("prompt-") else "conversation",
    )


def store_name(teacher: str) -> str:
    """Its folder in HOME/teachers: no teacher can have such a name, so that merged texts never count as replies."""
    return f"{teacher}+merged"


def merge(
    home: Home, name: str, asked: Iterable[Asked], stop: threading.Event, on_progress: Callable[[Tally], None]
) -> dict[str, str]:
    """Have the teacher merge every question's rationales; the merged texts by question.

    What was merged before is not asked again; a text that was cut or refused is left out. Errors: UsageError (no such
    teacher, or one that does not write), and what the teacher raises.
    """
    settings = settings_of(read_teachers(home), name)
    if not isinstance(settings, WritingSettings):
        raise UsageError(f"teacher {name} writes nothing new; merge with an anthropic, openai or gguf teacher")
    # The whole answer is the rationale: it needs no form around it.
    settings = settings.model_copy(update={"rationale": False})
    with tokenizer(home, [settings]) as count, locked(home, store_name(name)) as free:
        if not free:
            raise TrainingError(f"teacher {name} is merging in this home already; wait for that run to end")
        teacher = open_teacher(name, settings, home, stop)
        try:
            return merged_by(teacher, Replies(home, store_name(name)), asked, count, stop, on_progress)
        finally:
            teacher.close()


def merged_by(
    teacher: Teacher,
    store: Replies,
    asked: Iterable[Asked],
    count: Callable[[str], int],
    stop: threading.Event,
    on_progress: Callable[[Tally], None],
) -> dict[str, str]:
    """``merge`` with an open teacher and its store. Errors: TrainingError when the teacher gave up."""
    questions = {one.question: merging_question(one) for one in asked}
    traits = teacher.traits
    tally = Tally(traits.name, traits.kind, traits.model, set_aside=store.set_aside)
    prompts = to_ask(questions.values(), traits, store, count, tally)
    collector = Collector(
        teacher, store, tally, budget=Budget(), stop=stop, count_tokens=count, on_progress=on_progress
    )
    collector.run(prompts)
    if tally.error:
        raise TrainingError(tally.error)
    found = {}
    for question, asking in questions.items():
        prompt = prompt_of(asking, traits, count)
        reply = store.get(prompt.key) if prompt else None
        if reply is not None and reply.status == "ok":
            found[question] = reply.reply
    return found


class Aggregate:
    """Gives the merged rationale where it kept the shared facts and added none, else the most central of the given.

    arXiv 2602.01064 has it without the check, and found it the weakest of its five methods; what a merging model loses
    or makes up would be learnt as it stands.
    """

    def __init__(self, merged: Mapping[str, str], teacher: str) -> None:
        self._merged, self._teacher = merged, teacher

    def purify(self, case: Case) -> Purified:
        """See ``Purifier.purify``; the merging teacher is named. The scores are mean cosines to all rationales."""
        means = case.rationale_vectors @ np.mean(case.rationale_vectors, axis=0)
        scores = dict(zip(case.teachers, means.tolist(), strict=True))
        merged = self._merged.get(case.question, "")
        if merged.strip() and shared_facts_kept(case.rationales, merged).whole:
            return Purified(self._teacher, merged.strip(), scores)
        best = int(means.argmax())
        return Purified(case.teachers[best], case.rationales[best], scores)
