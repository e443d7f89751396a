"""Preference pairs: edits, branches not taken and thumbs give them, each with a chosen reply that may be learnt."""

from dataclasses import replace

from talks import question, reply, talk

from distill.collect import fitted
from distill.config import DistillConfig
from distill.pairs import Pair, pairs_of
from memory.transcripts.model import Alternative, Transcript
from molting_agent.runtime.client import EngineClient


def found(transcript: Transcript) -> list[tuple[str, str, str]]:
    return [(pair.kind, pair.chosen, pair.rejected) for pair in pairs_of(transcript, lambda _ids: "")]


def branched(*texts: str, **fields: object) -> Transcript:
    made = talk("a", question(), reply("r", "No, 12 percent is free.", **fields))
    return replace(made, alternatives=tuple(Alternative("r", text, "a thought") for text in texts))


def test_an_edit_is_preferred_to_what_was_said() -> None:
    conversation = talk("a", question(), reply("r", "Yes sir!", spoken_by=1, edited_text="Yes."), own=True)
    (pair,) = pairs_of(conversation, lambda _ids: "")
    assert (pair.kind, pair.chosen, pair.rejected, pair.message) == ("edit", "Yes.", "Yes sir!", "r")
    assert [message.content for message in pair.prompt] == ["is baleia ok?"]
    assert found(talk("a", question(), reply("r", "Yes.", edited_text="Yes."), own=True)) == []


def test_the_reply_taken_is_preferred_to_branches_to_the_same_question() -> None:
    assert found(branched("It may be full.", "It may be full.", " ")) == [
        ("branch", "No, 12 percent is free.", "It may be full.")
    ]
    other = replace(branched(), alternatives=(Alternative("somewhere else", "It may be full."),))
    assert found(other) == []


def test_a_programs_message_is_nobodys_worse_reply() -> None:
    assert found(branched("API Error: 529 overloaded", "[Request interrupted by user]")) == []


def test_what_may_not_be_learnt_is_never_chosen() -> None:
    assert found(branched("It may be full.", trust="untrusted")) == []
    assert found(branched("It may be full.", label="never-train")) == []
    assert found(branched("It may be full.", approved=False)) == []
    assert found(replace(branched("It may be full.", spoken_by=3), own=True)) == []
    assert len(found(replace(branched("It may be full.", spoken_by=3, approved=True), own=True))) == 1


def test_a_thumb_up_is_preferred_to_a_thumb_down_to_the_same_question() -> None:
    turns = (
        replace(question("And now?"), id="q1"),
        reply("r1", "Bad one.", spoken_by=1, approved=False),
        replace(question("and now"), id="q2"),
        reply("r2", "Good one.", spoken_by=1, approved=True),
        replace(question("else?"), id="q3"),
        reply("r3", "Good too.", spoken_by=1, approved=True),
    )
    (pair,) = pairs_of(talk("a", *turns, own=True), lambda _ids: "")
    assert (pair.kind, pair.chosen, pair.rejected, pair.rejected_id) == ("thumb", "Good one.", "Bad one.", "r1")


def test_nothing_after_a_label_takes_part() -> None:
    turns = (question("secret?", label="private"), reply("r", "Yes sir!", edited_text="Yes, so it is."))
    assert found(talk("a", *turns)) == []


def test_a_long_prompt_loses_its_oldest_exchanges_whole(engine: EngineClient) -> None:
    turns = [turn for i in range(9) for turn in (question(f"question {i}? " + "why " * 9), reply(f"r{i}", f"No, {i}."))]
    turns += [question("last?"), reply("r", "Said " * 20, edited_text="Better.")]
    (pair,) = pairs_of(talk("a", *turns), lambda _ids: "")
    whole = fitted(pair, engine, DistillConfig())
    assert whole == pair
    cut = fitted(pair, engine, DistillConfig(conversation_tokens=120))
    assert isinstance(cut, Pair)
    assert 1 <= len(cut.prompt) < len(pair.prompt)
    assert cut.prompt == pair.prompt[-len(cut.prompt) :]
    assert cut.ids == pair.ids[-len(cut.ids) :]
    assert cut.prompt[0].role == "user"
    assert fitted(replace(pair, rejected="Said " * 200), engine, DistillConfig(conversation_tokens=120)) is None
