"""The store of answers: torn lines set aside, forgetting without a byte left, and what of it may be learnt from."""

from dataclasses import replace

import pytest
from talks import question, reply, talk

from distill.teachers.replies import TORN, Replies, Reply, forget, locked, teachers_dir
from distill.teachers.taught import taught
from memory.home import Home
from memory.transcripts.model import Turn
from memory.transcripts.writer import FORGOTTEN

ANSWER = Reply(
    key="k1",
    teacher="t",
    kind="openai",
    model="m",
    conversation="c",
    message="q",
    context_ids=("q",),
    source="conversation",
    label="normal",
    started_at="2026-02-01T10:00:00Z",
    system_sha256="0",
    messages=(("user", "is baleia ok?"),),
    status="ok",
    reply="No. \ud83d 12 percent \u2028 is free.",
    rationale="The disk.",
    raw="",
    tokens_in=1,
    tokens_out=2,
    asked_at="2026-02-02T10:00:00Z",
)


def test_answers_come_back_and_the_last_of_a_key_holds(home: Home) -> None:
    store = Replies(home, "t")
    store.add(replace(ANSWER, status="unparsed", raw="?"))
    store.add(replace(ANSWER, reply="fine \u2028 é"))
    again = Replies(home, "t")
    assert [r.reply for r in again] == ["fine \u2028 é"]
    assert "k1" in again
    assert "k2" not in again


def test_a_lone_surrogate_is_stored_as_a_question_mark(home: Home) -> None:
    Replies(home, "t").add(ANSWER)
    assert [r.reply for r in Replies(home, "t")] == ["No. ? 12 percent \u2028 is free."]


@pytest.mark.parametrize("cut", [1, 10, 100, 300])
def test_a_torn_last_line_is_set_aside_and_the_others_stay(home: Home, cut: int) -> None:
    store = Replies(home, "t")
    store.add(replace(ANSWER, key="k1"))
    whole = store.path.read_bytes()
    store.add(replace(ANSWER, key="k2"))
    torn = store.path.read_bytes()[len(whole) : -cut]
    store.path.write_bytes(whole + torn)
    again = Replies(home, "t")
    # Without its newline alone a line is whole.
    expected = ["k1", "k2"] if cut == 1 else ["k1"]
    assert [r.key for r in again] == expected
    assert again.set_aside == (cut != 1)
    again.add(replace(ANSWER, key="k3"))
    assert [r.key for r in Replies(home, "t")] == [*expected, "k3"]
    if cut != 1:
        assert (store.folder / TORN).read_bytes().rstrip(b"\n") == torn


def test_one_process_at_a_time(home: Home) -> None:
    with locked(home, "t") as first, locked(home, "t") as second, locked(home, "u") as other:
        assert (first, second, other) == (True, False, True)


@pytest.mark.parametrize("ids", [{"c-secret"}, {"q-secret"}])
def test_what_is_forgotten_leaves_no_byte(home: Home, ids: set[str]) -> None:
    for name in ("t", "u"):
        store = Replies(home, name)
        store.add(replace(ANSWER, key="k1"))
        secret = replace(ANSWER, key="k2", conversation="c-secret", context_ids=("q0", "q-secret"))
        store.add(replace(secret, reply="HUSH", messages=(("user", "HUSH"),)))
    with store.path.open("ab") as file:
        file.write(b'{"reply": "HUSH')
    Replies(home, "u")
    assert forget(home, ids) == 2
    left = b"".join(path.read_bytes() for path in teachers_dir(home).rglob("*") if path.is_file())
    assert b"HUSH" not in left
    assert [[r.key for r in Replies(home, name)] for name in ("t", "u")] == [["k1"], ["k1"]]
    assert forget(home, ids) == 0
    assert forget(home, []) == 0


def test_only_what_may_be_learnt_now_is_taught(home: Home) -> None:
    store = Replies(home, "t")
    answers = {
        "fine": ANSWER,
        "cut": replace(ANSWER, status="cut"),
        "private": replace(ANSWER, label="private"),
        "gone": replace(ANSWER, conversation="not there"),
        "relabelled": replace(ANSWER, conversation="labelled"),
        "forgotten": replace(ANSWER, conversation="forgotten"),
        "file": replace(ANSWER, conversation="prompt-1", source="file", context_ids=("prompt-1",)),
    }
    for key, answer in answers.items():
        store.add(replace(answer, key=key))
    conversations = [
        talk("c", question(), reply("a")),
        talk("labelled", question(label="never-train")),
        talk("forgotten", Turn("q", "user", FORGOTTEN, 1)),
    ]
    found = list(taught(home, conversations))
    assert [one.key for one in found] == ["fine", "file"]
    assert [(m.role, m.target) for m in found[0].messages] == [("user", False), ("assistant", True)]
    assert found[0].messages[-1].content == found[0].reply
    assert (found[0].teacher, found[0].rationale, found[0].conversation) == ("t", "The disk.", "c")
    assert list(taught(home, conversations, ["another"])) == []
