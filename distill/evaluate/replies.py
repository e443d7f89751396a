"""The replies a side gives to the exam's prompts, as the runtime would write them, and how fast they came."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distill.evaluate.exam import Asked
from molting_agent.runtime.protocol import Delta, Done, Engine, Sampling, Segment
from molting_agent.runtime.template import Message, render

# The likeliest token at each step, with the repetition penalty of a chat: the same reply every time.
GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True, slots=True)
class Reply:
    """``prompt_s`` is the time to the first token (the system prompt was evaluated before), then tokens a second."""

    text: str
    prompt_s: float
    tokens_per_s: float


def answer_all(
    engine: Engine,
    asked: Sequence[Asked],
    system: str,
    *,
    max_tokens: int,
    on_item: Callable[[], None] = lambda: None,
) -> list[Reply]:
    """A reply to each prompt under one system prompt, whose state is evaluated once."""
    found = []
    for prompt in asked:
        found.append(answer(engine, prompt.messages, system, max_tokens=max_tokens))
        on_item()
    return found


def answer(engine: Engine, messages: Sequence[Message], system: str, *, max_tokens: int) -> Reply:
    """The greedy reply to one prompt; a prompt longer than the window loses its oldest exchanges."""
    text, prompt_s, tokens_per_s = "", 0.0, 0.0
    segments = fitting(engine, messages, system, max_tokens)
    for event in engine.generate(segments, max_tokens=max_tokens, sampling=GREEDY):
        if isinstance(event, Delta):
            text += event.text
        elif isinstance(event, Done):
            prompt_s, tokens_per_s = event.prompt_s, event.tokens_per_s
    return Reply(text.strip(), prompt_s, tokens_per_s)


def fitting(engine: Engine, messages: Sequence[Message], system: str, room_tokens: int) -> list[Segment]:
    """The rendered prompt with an open reply, beside which ``room_tokens`` fit into the window."""
    info = engine.info
    kept = list(messages)
    while True:
        segments = render(
            info.chat_template,
            [Message("system", system), *kept],
            end_tokens=info.end_tokens,
            bos_token=info.bos_token,
        )
        used = sum(len(ids) for ids in engine.tokenize(segments))
        later = next((i for i, message in enumerate(kept) if i and message.role == "user"), 0)
        if used + room_tokens < info.context_tokens or not later:
            return segments
        kept = kept[later:]
