"""Preference pairs: of two replies to the same question, the one that was wanted and the one that was not."""

from dataclasses import dataclass, replace

from distill.dialogue import MemoryBlock, Spoken, spoken
from distill.filters import MIN_REPLY_WORDS, NOT_SAID, same_words, why_boilerplate
from distill.targets import why_not
from memory.transcripts.model import Transcript, Turn
from molting_agent.runtime.template import Message


@dataclass(frozen=True, slots=True)
class Pair:
    """``chosen`` before ``rejected`` as the reply to ``prompt``, whose last message is the question.

    ``kind`` says how it is known: ``edit`` (what the person made of what was said), ``branch`` (the reply that was kept
    before one on a branch not taken), ``thumb`` (a reply with a thumb up before one to the same question with a thumb
    down). ``message`` is the id of the chosen reply, ``ids`` name the sources of each prompt message as in a Dialogue,
    ``rejected_id`` is "" where both stood in one message.
    """

    conversation: str
    message: str
    kind: str
    prompt: tuple[Message, ...]
    ids: tuple[tuple[str, ...], ...]
    chosen: str
    rejected: str
    chosen_rationale: str
    rejected_rationale: str
    rejected_id: str
    started_at: str
    source: str
    format: str


def pairs_of(transcript: Transcript, memory_block: MemoryBlock, min_reply_words: int = MIN_REPLY_WORDS) -> list[Pair]:
    """The pairs of one conversation in order, each once.

    A chosen reply keeps the rule of the targets (see ``why_not``); a rejected one may be anybody's, also our own
    unapproved one, but not a program's message. Nothing after the first label takes part.
    """
    said = spoken(transcript, memory_block)
    found: list[Pair] = []
    for place, item in enumerate(said):
        turn = transcript.turns[item.turn]
        if turn.role != "assistant" or why_not(turn, own=transcript.own, min_reply_words=min_reply_words):
            continue
        question = _question_of(said, place)
        if question < 0:
            continue
        rivals: list[tuple[str, str, str, str]] = []
        if turn.edited_text is not None:
            rivals.append(("edit", turn.text, turn.rationale, ""))
        for branch in transcript.alternatives:
            if branch.message_id == turn.id:
                rivals.append(("branch", branch.text, branch.rationale, ""))
        for rival in _thumbed_down(transcript, said, place) if turn.approved else []:
            rivals.append(("thumb", rival.text, rival.rationale, rival.id))
        for kind, text, rationale, rejected_id in rivals:
            found += _pair(transcript, turn, said[: question + 1], kind, text, rationale, rejected_id)
    return list(dict.fromkeys(found))


def _pair(
    transcript: Transcript,
    turn: Turn,
    prompt: list[Spoken],
    kind: str,
    rejected: str,
    rejected_rationale: str,
    rejected_id: str,
) -> list[Pair]:
    chosen = turn.final_text
    if not rejected.strip() or chosen.strip() == rejected.strip() or why_boilerplate(rejected) in NOT_SAID:
        return []
    return [
        Pair(
            transcript.id,
            turn.id,
            kind,
            tuple(item.message for item in prompt),
            tuple(item.ids for item in prompt),
            chosen,
            rejected,
            "" if turn.edited_text is not None else turn.rationale,
            rejected_rationale,
            rejected_id,
            transcript.started_at,
            str(transcript.path),
            transcript.format,
        )
    ]


def _question_of(said: list[Spoken], place: int) -> int:
    """Where the question stands that the reply at ``place`` answers; -1 when there is none."""
    return next((i for i in range(place - 1, -1, -1) if said[i].message.role == "user"), -1)


def _thumbed_down(transcript: Transcript, said: list[Spoken], place: int) -> list[Turn]:
    """Earlier replies with a thumb down to the same question: asked once and answered twice, or asked again."""

    def asked(at: int) -> str:
        question = _question_of(said, at)
        return same_words(transcript.turns[said[question].turn].text) if question >= 0 else ""

    wanted = asked(place)
    earlier = [(at, transcript.turns[said[at].turn]) for at in range(place)]
    return [turn for at, turn in earlier if turn.role == "assistant" and turn.approved is False and asked(at) == wanted]


def shortened(pair: Pair, messages: int) -> Pair:
    """The pair with only the last ``messages`` of its prompt."""
    return replace(pair, prompt=pair.prompt[-messages:], ids=pair.ids[-messages:])
