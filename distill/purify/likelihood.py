"""How likely the student finds the right answer after each teacher's reasons: what a rationale is worth to it."""

from collections.abc import Callable, Sequence

from distill.purify.asked import Asked
from molting_agent.runtime.protocol import Engine
from molting_agent.runtime.template import Message, render

REASONS = "{question}\n\nReasons: {rationale}"


def likelihoods(
    asked: Sequence[Asked], engine: Engine, on_progress: Callable[[str], None] = lambda _text: None
) -> list[tuple[float, ...]]:
    """For each question one value an answer with a rationale: mean log-probability (nats a token) of the right answer.

    () where no right answer is known, or where one of the prompts does not fit into the model's window.
    """
    found: list[tuple[float, ...]] = []
    for number, one in enumerate(asked, 1):
        found.append(_of(one, engine) if one.right.strip() else ())
        on_progress(f"student  {number:,} of {len(asked):,} questions")
    return found


def _of(one: Asked, engine: Engine) -> tuple[float, ...]:
    info = engine.info
    values = []
    for answer in one.answers:
        asking = REASONS.format(question=one.question.strip(), rationale=answer.rationale.strip())
        messages = [Message("user", asking), Message("assistant", one.right.strip(), target=True)]
        segments = render(
            info.chat_template, messages, end_tokens=info.end_tokens, bos_token=info.bos_token, generate=False
        )
        if sum(map(len, engine.tokenize(segments))) > info.context_tokens:
            return ()
        logprobs = [value for piece in engine.score(segments).token_logprobs for value in piece]
        values.append(sum(logprobs) / len(logprobs))
    return tuple(values)
