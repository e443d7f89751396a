"""The branches of a conversation: every end that was reached in its file, whichever of them goes on."""

from dataclasses import dataclass, replace
from pathlib import Path

from memory.transcripts.fields import block_texts, dict_field, text_field
from memory.transcripts.lines import read_json_lines
from memory.transcripts.model import Skipped
from memory.transcripts.tree import path_to


@dataclass(frozen=True, slots=True)
class Branch:
    """One way through the conversation: its last message, how many turns lead there, its last question."""

    message_id: str
    turns: int
    question: str
    timestamp: str
    is_current: bool = False


def branches(path: Path, current: str) -> list[Branch]:
    """All ends of the session at ``path``, newest first; ``current`` is the id of the last message on display."""
    ids: dict[str, int] = {}
    parents: list[int] = []
    said: list[tuple[str, str, str, str]] = []  # id, role, text, time; an empty id for what is no message
    skipped: list[Skipped] = []
    for _, record in read_json_lines(path, skipped):
        if record.get("type") == "session" or not (entry_id := text_field(record, "id")):
            continue
        ids[entry_id] = len(parents)
        parents.append(ids.get(text_field(record, "parentId"), -1))
        message = dict_field(record, "message")
        role = text_field(message, "role") if record.get("type") == "message" else ""
        text = block_texts(message.get("content")) if role in ("user", "assistant") else ""
        said.append((entry_id if text else "", role, text, text_field(record, "timestamp")))
    is_message = [bool(one[0]) for one in said]
    above: list[int] = []  # the nearest message above each entry; what stands between are ratings, edits, labels
    for parent in parents:
        above.append(parent if parent < 0 or is_message[parent] else above[parent])
    with_more = {above[index] for index in range(len(said)) if is_message[index]}
    found = [
        _branch(parents, said, index) for index in range(len(said)) if is_message[index] and index not in with_more
    ]
    shown = [replace(one, is_current=one.message_id == current) for one in found]
    return shown[::-1]


def _branch(parents: list[int], said: list[tuple[str, str, str, str]], leaf: int) -> Branch:
    way = [said[node] for node in path_to(parents, leaf) if said[node][0]]
    question = next((text for _id, role, text, _time in reversed(way) if role == "user"), "")
    return Branch(said[leaf][0], len(way), " ".join(question.split()), said[leaf][3])
