"""The questions for teachers: the person's turns with the true history before them, and prompts from a file."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from distill.dataset import hash_share
from distill.targets import why_not
from distill.teachers.protocol import Prompt, Question, Traits
from distill.teachers.reply_format import FORM
from memory.errors import UsageError
from memory.scrub import Scrubber
from memory.transcripts.model import Label, Transcript, Turn
from memory.transcripts.writer import FORGOTTEN
from molting_agent.runtime.prompt import MARKUP_TOKENS, ChatTurn, build
from molting_agent.runtime.template import Message

OUTSIDE = "[text from outside left out]"
"""Stands in the history for pastes and for replies that may obey one: no teacher reads instructions from outside."""


def conversation_questions(
    transcripts: Iterable[Transcript], system: str, heldout_share: float
) -> tuple[list[Question], Counter[str]]:
    """The questions of all conversations on the training side, and what was left out by reason (turns of the person).

    A conversation whose hash lies on the held-out side gives none, own ones included: whatever may once be judged by is
    never taught.
    """
    questions: list[Question] = []
    left_out: Counter[str] = Counter()
    for transcript in transcripts:
        if hash_share(transcript.id) < heldout_share:
            left_out["held out for judging"] += sum(turn.role == "user" for turn in transcript.turns)
            continue
        found, reasons = questions_of(transcript, system)
        questions += found
        left_out += reasons
    return questions, left_out


def questions_of(transcript: Transcript, system: str) -> tuple[list[Question], Counter[str]]:
    """Every question of one conversation, scrubbed together with the identity, so that placeholders agree.

    It ends before the first turn labelled never-train. Turns from outside are never questions, nor are questions that
    hold a paste; in the history ``OUTSIDE`` stands for them. Turns of one role in a row are one turn.
    """
    scrubber = Scrubber()
    system = scrubber.scrub(system).text
    turns = [t for t in transcript.turns if t.role != "tool" and t.final_text.strip() and t.final_text != FORGOTTEN]
    questions: list[Question] = []
    left_out: Counter[str] = Counter()
    history: list[ChatTurn] = []
    ids: list[str] = []
    label: Label = "normal"
    unfit = ""
    for position, turn in enumerate(turns):
        if turn.label == "never-train":
            left_out["labelled never-train, or after such a turn"] += sum(t.role == "user" for t in turns[position:])
            break
        if turn.role == "assistant" and not history:
            continue  # a reply without a question
        label = "private" if turn.label == "private" else label
        ids.append(turn.id)
        _append(history, turn.role, scrubber.scrub(_inside(turn)).text)
        if turn.role == "assistant":
            unfit = ""
            continue
        unfit = unfit or _why_no_question(turn)
        following = turns[position + 1] if position + 1 < len(turns) else None
        if following is not None and following.role == "user" and following.label != "never-train":
            continue  # the person went on: one question
        if unfit:
            left_out[unfit] += 1
            continue
        questions.append(
            Question(
                conversation=transcript.id,
                message=turn.id,
                system=system,
                history=tuple(history),
                context_ids=tuple(ids),
                label=label,
                started_at=transcript.started_at,
                logged=_logged(following, transcript.own, scrubber),
            )
        )
    return questions, left_out


def _append(history: list[ChatTurn], role: str, text: str) -> None:
    if history and history[-1].role == role:
        history[-1] = ChatTurn(role, f"{history[-1].text}\n\n{text}")
    else:
        history.append(ChatTurn(role, text))


def _inside(turn: Turn) -> str:
    """The turn's own words, ``OUTSIDE`` in place of what came from elsewhere."""
    if turn.trust == "untrusted":
        return OUTSIDE
    text = turn.final_text
    if turn.role == "user":
        for start, end in sorted(turn.pasted, reverse=True):
            text = text[:start] + OUTSIDE + text[end:]
    return text


def _why_no_question(turn: Turn) -> str:
    if turn.trust == "untrusted":
        return "text from outside"
    return "holds pasted text" if turn.pasted else ""


def _logged(reply: Turn | None, own: bool, scrubber: Scrubber) -> tuple[str, str] | None:
    """Reply and rationale of the log where the reply may be learnt; the reasons of a reply that was edited are void."""
    if reply is None or reply.role != "assistant" or why_not(reply, own=own):
        return None
    rationale = "" if reply.edited_text is not None else reply.rationale
    return scrubber.scrub(reply.final_text).text, scrubber.scrub(rationale).text


def file_questions(path: Path, system: str) -> list[Question]:
    """Questions from a file. Errors: UsageError with file:line.

    ``.jsonl``: a line is a string, ``{"prompt": "..."}`` or ``{"messages": [{"role", "content"}, ...]}`` that ends with
    the user. Any other file: one prompt a line. Empty lines are passed over.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text ({error}); give a file with one prompt a line") from None
    questions: list[Question] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            history = _record(line, f"{path}:{number}") if path.suffix == ".jsonl" else [ChatTurn("user", line.strip())]
            questions.append(_file_question(history, system))
    if not questions:
        raise UsageError(f"{path}: no prompts in it; write one a line")
    return questions


def _file_question(history: Sequence[ChatTurn], system: str) -> Question:
    scrubber = Scrubber()
    system = scrubber.scrub(system).text
    turns: list[ChatTurn] = []
    for turn in history:
        _append(turns, turn.role, scrubber.scrub(turn.text).text)
    digest = hashlib.sha256(json.dumps([[t.role, t.text] for t in turns]).encode()).hexdigest()
    name = f"prompt-{digest[:16]}"
    return Question(name, name, system, tuple(turns), (name,), source="file")


def _record(line: str, place: str) -> list[ChatTurn]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{place}: not valid JSON ({error}); mend the line or remove it") from None
    raw: Any = record
    if isinstance(record, dict):
        raw = record.get("messages", record.get("prompt"))
    messages = [{"role": "user", "content": raw}] if isinstance(raw, str) else raw
    history = [
        ChatTurn(str(m["role"]), m["content"].strip())
        for m in (messages if isinstance(messages, list) else ())
        if isinstance(m, dict) and m.get("role") in ("user", "assistant") and isinstance(m.get("content"), str)
    ]
    if not history or len(history) != len(messages) or not all(turn.text for turn in history):
        raise UsageError(f'{place}: write a string, {{"prompt": "..."}} or {{"messages": [...]}} of user and assistant')
    if history[0].role != "user" or history[-1].role != "user":
        raise UsageError(f"{place}: the messages must begin and end with the user")
    return history


def prompt_of(question: Question, traits: Traits, count_tokens: Callable[[str], int]) -> Prompt | None:
    """The question as this teacher gets it; None when it does not fit into the teacher's window.

    Of a long history the oldest half goes, as in a conversation with him. The key is the sha256 of the teacher's
    identity and of every word that is sent.
    """
    system = f"{question.system}\n\n{FORM}" if traits.asks_rationale else question.system
    built = build(system, question.history, budget_tokens=traits.window_tokens, count_tokens=count_tokens)
    if built.tokens > traits.window_tokens:
        return None
    sent = [traits.identity, [[message.role, message.content] for message in built.messages]]
    key = hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()
    return Prompt(key, question, tuple(built.messages), built.tokens)


def repair_of(prompt: Prompt, answer: str, request: str, count_tokens: Callable[[str], int]) -> Prompt:
    """The same prompt with an answer that could not be read and the request to write it again; the key stays."""
    more = (Message("assistant", answer), Message("user", request))
    tokens = prompt.tokens + sum(count_tokens(m.content) + MARKUP_TOKENS for m in more)
    return Prompt(prompt.key, prompt.question, (*prompt.messages, *more), tokens)


def sample(questions: Sequence[Question], limit: int) -> list[Question]:
    """``limit`` questions spread over all, always the same ones, in their order; all of them when limit is 0."""
    if not limit or len(questions) <= limit:
        return list(questions)
    names = [f"{question.conversation}/{question.message}" for question in questions]
    drawn = sorted(range(len(names)), key=lambda index: hash_share(names[index]))
    return [questions[index] for index in sorted(drawn[:limit])]
