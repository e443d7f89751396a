"""Renders a conversation with the model's own chat template into segments; inference and training both call it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from memory.errors import ModelError
from molting_agent.runtime.protocol import Segment

# Stands for the words of message i while the template runs. Private-use characters: no template looks for them.
MARK = "\ue000{}\ue001"
# For a model whose GGUF carries no template (ChatML, as most small models use it).
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt; ``target`` marks a reply that is scored or trained on."""

    role: str
    content: str
    target: bool = False


def render(
    chat_template: str,
    messages: Sequence[Message],
    *,
    end_tokens: Sequence[str],
    bos_token: str = "",
    generate: bool = True,
    tools: str = "",
) -> list[Segment]:
    """The prompt as segments: template markup (special) and, between it, the messages' words (never special).

    The template runs over placeholders, and the words are put in afterwards: nothing that anybody writes is read as
    template or as control token. A target's words and the token that ends its turn (one of ``end_tokens``) are target
    segments. ``generate`` opens a reply of the assistant at the end. ``tools`` are functions as JSON, for templates
    that tell a model of them (see ``knows_tools``). Errors: ModelError when the template fails.
    """
    eos_token = end_tokens[0] if end_tokens else ""
    text = _run(chat_template or CHATML, tuple(m.role for m in messages), bos_token, eos_token, generate, tools)
    segments: list[Segment] = []
    previous: int | None = None
    for markup, index in _split(text, len(messages)):
        if markup:
            segments.extend(_markup(markup, messages, previous, end_tokens))
        if index is not None:
            message = messages[index]
            if message.content:
                segments.append(Segment(message.content, target=message.target, message=index))
            previous = index
    return segments


def knows_tools(chat_template: str) -> bool:
    """Whether the template tells the model which tools there are, and in which form it calls them."""
    return "tools" in chat_template and "<tool_call>" in chat_template


def count_prefix(segments: Sequence[Segment], messages: int = 1) -> int:
    """How many leading segments the first ``messages`` messages take, up to the last of their words.

    Training cuts here: the markup that ends these messages stands at the head of each conversation packed behind one
    prefix, so that a conversation begins with something that is never a target.
    """
    return max((i + 1 for i, s in enumerate(segments) if 0 <= s.message < messages), default=0)


def prefix_length(segments: Sequence[Segment], messages: int = 1) -> int:
    """How many leading segments come before the first words of any later message: all that every prompt begins with.

    The runtime keeps the state of these: besides the words of the first ``messages`` messages that is the markup after
    them, which ``count_prefix`` leaves to what follows.
    """
    return next((i for i, s in enumerate(segments) if s.message >= messages), len(segments))


def _markup(markup: str, messages: Sequence[Message], previous: int | None, end_tokens: Sequence[str]) -> list[Segment]:
    """Markup after message ``previous``; of a target, the token that ends the turn is cut off as a target."""
    if previous is not None and messages[previous].target:
        for end in sorted(end_tokens, key=len, reverse=True):
            if end and markup.startswith(end):
                rest = markup[len(end) :]
                first = Segment(end, special=True, target=True, message=previous)
                return [first, Segment(rest, special=True)] if rest else [first]
    return [Segment(markup, special=True)]


def _split(text: str, count: int) -> list[tuple[str, int | None]]:
    """(markup before, message index) pairs in the order of the rendered text; the last has no message."""
    parts: list[tuple[str, int | None]] = []
    for index in range(count):
        before, mark, text = text.partition(MARK.format(index))
        if not mark:
            raise ModelError(f"the model's chat template left out message {index}; choose another: molt models ls")
        parts.append((before, index))
    return [*parts, (text, None)]


@lru_cache(maxsize=256)
def _run(  # noqa: PLR0917 - a cache keeps positions
    chat_template: str, roles: tuple[str, ...], bos_token: str, eos_token: str, generate: bool, tools: str
) -> str:
    messages = [{"role": role, "content": MARK.format(i)} for i, role in enumerate(roles)]
    template = _compiled(chat_template)
    values: dict[str, Any] = {"bos_token": bos_token, "eos_token": eos_token, "add_generation_prompt": generate}
    if tools:
        values["tools"] = json.loads(tools)
    try:
        return template.render(messages=messages, **values)
    except Exception as error:
        if roles[:1] != ("system",) or len(roles) < 2:
            raise _failed(error) from None
        # Templates without a system role (Gemma): its words go in front of the first question.
        joined = {"role": roles[1], "content": MARK.format(0) + "\n\n" + MARK.format(1)}
        try:
            return template.render(messages=[joined, *messages[2:]], **values)
        except Exception as again:
            raise _failed(again) from None


def _failed(error: Exception) -> ModelError:
    return ModelError(f"the model's chat template fails ({error}); choose another model: molt models ls")


@lru_cache(maxsize=8)
def _compiled(chat_template: str) -> Any:
    """The template in Jinja's sandbox, with the settings and helpers that published templates rely on."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def fail(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = fail
    return environment.from_string(chat_template)
