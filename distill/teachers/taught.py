"""Collected replies as training data: each with the context it answers, its rationale and the teacher who gave it."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from distill.teachers.replies import FILE, Reply, read_replies, teachers_dir
from distill.teachers.settings import NAME
from memory.errors import HomeError
from memory.home import Home
from memory.transcripts.model import Transcript
from memory.transcripts.writer import FORGOTTEN
from molting_agent.runtime.template import Message


@dataclass(frozen=True, slots=True)
class Taught:
    """One example: ``messages`` end with the teacher's reply, the only target; the system prompt is not among them.

    ``conversation`` is the id of the conversation that the question comes from, or ``prompt-...`` for one of a file:
    the split by its hash puts the example on the side of its conversation. ``key`` names the answer in the store.
    """

    conversation: str
    message: str
    context_ids: tuple[str, ...]
    messages: tuple[Message, ...]
    reply: str
    rationale: str
    teacher: str
    model: str
    key: str
    started_at: str


def taught(home: Home, conversations: Iterable[Transcript], teachers: Collection[str] = ()) -> Iterator[Taught]:
    """The replies that may be learnt from now, of the named teachers or of all, in the order they came.

    ``conversations`` are those of the memory as it stands. A reply is left out when a message of its context was
    forgotten, or labelled after it was asked, or when its conversation is no longer there; so are private ones, and
    whatever was cut, refused or could not be read. Errors: HomeError.
    """
    normal = {
        transcript.id: {t.id for t in transcript.turns if t.label == "normal" and t.final_text != FORGOTTEN}
        for transcript in conversations
    }
    for folder in sorted(teachers_dir(home).glob("*/")):
        if folder.name not in teachers if teachers else not NAME.fullmatch(folder.name):
            continue
        try:
            newest = {reply.key: reply for reply in read_replies(folder / FILE)}
        except OSError as error:
            raise HomeError(f"{folder / FILE}: cannot be read ({error.strerror}); is the file yours?") from error
        for reply in newest.values():
            if reply.status == "ok" and reply.label == "normal" and _still_there(reply, normal):
                yield _taught(reply)


def _still_there(reply: Reply, normal: dict[str, set[str]]) -> bool:
    return reply.source == "file" or set(reply.context_ids) <= normal.get(reply.conversation, set())


def _taught(reply: Reply) -> Taught:
    context = [Message(role, content) for role, content in reply.messages]
    return Taught(
        conversation=reply.conversation,
        message=reply.message,
        context_ids=reply.context_ids,
        messages=(*context, Message("assistant", reply.reply, target=True)),
        reply=reply.reply,
        rationale=reply.rationale,
        teacher=reply.teacher,
        model=reply.model,
        key=reply.key,
        started_at=reply.started_at,
    )
