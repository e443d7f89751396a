"""What is learnt beside the logged replies: their rationales, what teachers wrote, and lessons in reading memories."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from distill.config import DistillConfig
from distill.dataset import HASH_SPAN, Example, example_of, hash_share
from distill.dialogue import Dialogue
from distill.teachers.taught import Taught
from molting_agent.runtime.prompt import ChatTurn, user_content
from molting_agent.runtime.protocol import Engine
from molting_agent.runtime.template import Message

# The two tasks of "Distilling step by step" (arXiv 2305.02301) are told apart by a word before the question; a question
# without it is answered, so that the runtime's prompts stay what they are.
EXPLAIN = "[explain] "
THOUGHT = "<think>\n{rationale}\n</think>\n\n{reply}"

Recall = Callable[[str, str], str]


def with_thoughts(dialogue: Dialogue) -> Dialogue:
    """The dialogue with the rationale of each target before its reply, in the tags that reasoning models use."""
    targets = iter(dialogue.targets)
    messages = []
    for message in dialogue.messages:
        target = next(targets) if message.target else None
        if target is not None and target.rationale:
            text = THOUGHT.format(rationale=target.rationale.strip(), reply=message.content)
            message = Message(message.role, text, target=True)  # noqa: PLW2901 - the same message, thought through
        messages.append(message)
    return replace(dialogue, messages=tuple(messages))


def explaining(dialogue: Dialogue) -> list[Dialogue]:
    """For each target with a rationale: the same history and question, marked, with the rationale as the reply.

    They have no targets of their own: what is learnt of a reply is counted once.
    """
    found: list[Dialogue] = []
    targets = iter(dialogue.targets)
    for index, message in enumerate(dialogue.messages):
        target = next(targets) if message.target else None
        asked = dialogue.messages[index - 1] if index else None
        if target is None or not target.rationale.strip() or asked is None or asked.role != "user":
            continue
        before = [replace(m, target=False) for m in dialogue.messages[: index - 1]]
        question = Message("user", EXPLAIN + asked.content)
        reason = Message("assistant", target.rationale.strip(), target=True)
        ids = dialogue.ids[: index + 1] if dialogue.ids else ()
        found.append(replace(dialogue, messages=(*before, question, reason), targets=(), ids=ids))
    return found


def taught_dialogues(replies: Iterable[Taught], config: DistillConfig) -> list[Dialogue]:
    """What writing teachers answered, as dialogues of the training side, ``taught_share`` of them by hash."""
    found: list[Dialogue] = []
    for reply in replies:
        if hash_share(reply.conversation) < config.heldout_share and not reply.conversation.startswith("prompt-"):
            continue  # the teacher was asked before its conversation came to the held-out side
        if _share(reply.key) >= config.taught_share:
            continue
        found.append(
            Dialogue(
                reply.conversation,
                reply.messages,
                (),
                own=False,
                started_at=reply.started_at,
                ids=tuple((name,) for name in reply.context_ids),
                format=f"taught by {reply.teacher}",
            )
        )
    return found


def taught_reasons(replies: Iterable[Taught], config: DistillConfig) -> list[Dialogue]:
    """The explaining task for what teachers wrote: the marked question of each reply, answered by its rationale."""
    found: list[Dialogue] = []
    for reply in replies:
        if not reply.rationale.strip():
            continue
        for dialogue in taught_dialogues([reply], config):
            *before, asked, _answer = dialogue.messages
            question = Message("user", EXPLAIN + asked.content)
            reason = Message("assistant", reply.rationale.strip(), target=True)
            found.append(replace(dialogue, messages=(*before, question, reason)))
    return found


def remembering(dialogue: Dialogue, recall: Recall, share: float) -> Dialogue:
    """The dialogue with memories before a share of its questions, as recall finds them now, its own words left out.

    ``recall`` takes a question and the conversation's id and gives the block, "" where nothing fits. Questions that
    were logged with memories keep what they were shown.
    """
    messages = []
    for index, message in enumerate(dialogue.messages):
        shown = len(dialogue.ids[index]) > 1 if dialogue.ids else False
        if message.role == "user" and not shown and _share(f"{dialogue.conversation} {index}") < share:
            block = recall(message.content, dialogue.conversation)
            message = replace(message, content=user_content(ChatTurn("user", message.content, block)))  # noqa: PLW2901
        messages.append(message)
    return replace(dialogue, messages=tuple(messages))


def share_of(dialogues: Iterable[Dialogue], share: float) -> list[Dialogue]:
    """A share of the conversations, by their hash."""
    return [dialogue for dialogue in dialogues if _share(dialogue.conversation) < share]


def older(examples: Sequence[Example], learnt: set[tuple[str, str, str]], share: float) -> list[Example]:
    """All examples with something new to learn, and a share, by the hash of the conversation, of the learnt ones."""
    return [
        example
        for example in examples
        if any(target.key not in learnt for target in example.targets) or _share(example.conversation) < share
    ]


def extra_example(dialogue: Dialogue, engine: Engine, config: DistillConfig, *, task: str, epoch: int = -1) -> Example:
    """An extra in tokens: it counts as no reply of the person's conversations."""
    return replace(example_of(dialogue, engine, config), targets=(), task=task, epoch=epoch)


def _share(text: str) -> float:
    """A number in [0, 1) of a text, another than ``hash_share`` gives: the sides are drawn by that one."""
    return int(hashlib.sha256(f"share {text}".encode()).hexdigest()[:8], 16) / HASH_SPAN


def fewer_lessons(extras: Sequence[Example], share: float) -> list[Example]:
    """The extras with the first ``share`` of the lessons in reading: so many as of the conversations are learnt."""
    reading = [example for example in extras if example.task == "read"]
    kept = {id(example) for example in reading[: round(share * len(reading))]}
    return [example for example in extras if example.task != "read" or id(example) in kept]
