"""Asking again, in other words, and from an earlier place: nothing that was said leaves the file."""

from pathlib import Path
from typing import Any

from memory.transcripts.read import read_transcript
from molting_agent.branches import branches
from molting_agent.runtime.echo import EchoEngine
from molting_agent.ui.screens.pick import Pick


def texts(path: Path) -> list[str]:
    return [turn.final_text for turn in read_transcript(path).turns]


async def test_an_answer_made_anew_replaces_the_old_one_which_stays_as_the_other_reply(real: Any) -> None:
    replies = iter(["first words here", "second words here"])
    async with real(EchoEngine(lambda _prompt: next(replies))) as s:
        await s.ask("who are you?")
        await s.until(lambda: s.replies and not s.replies[0].streaming)
        await s.pilot.press("alt+up", "r")
        await s.until(lambda: s.replies and s.replies[0].text == "second words here" and not s.chat.turns.busy)
        assert len(s.questions) == len(s.replies) == 1
        path = s.app.agent.session.path
        transcript = read_transcript(path)
        assert texts(path) == ["who are you?", "second words here"]
        assert [one.text for one in transcript.alternatives] == ["first words here"]
        assert [turn.text for turn in s.app.agent.session.turns] == texts(path)


async def test_a_question_in_other_words_takes_the_place_of_the_old_one(real: Any) -> None:
    async with real() as s:
        await s.ask("one")
        await s.ask("too")
        await s.pilot.press("alt+up", "alt+up", "e")
        await s.until(lambda: s.chat.prompt.text == "too")
        s.chat.prompt.put("two")
        s.chat.prompt.action_send()
        await s.until(lambda: [q.text for q in s.questions] == ["one", "two"] and not s.chat.turns.busy)
        path = s.app.agent.session.path
        assert texts(path) == ["one", "I see.", "two", "I see."]
        assert "too" in path.read_text()


async def test_esc_leaves_a_question_that_was_being_rewritten_as_it_is(real: Any) -> None:
    async with real() as s:
        await s.ask("one")
        await s.pilot.press("alt+up", "alt+up", "e", "escape")
        await s.until(lambda: not s.chat.rewriting and not s.chat.prompt.text)
        await s.ask("two")
        assert texts(s.app.agent.session.path) == ["one", "I see.", "two", "I see."]


async def test_a_branch_goes_on_from_an_earlier_reply_and_the_other_one_can_be_chosen(real: Any) -> None:
    async with real() as s:
        for question in ("one", "two", "three"):
            await s.ask(question)
        await s.pilot.press(*["alt+up"] * 5, "b")
        await s.until(lambda: [q.text for q in s.questions] == ["one"])
        assert "4 turns stay in the file" in s.notes[-1]
        await s.ask("four")
        path = s.app.agent.session.path
        assert texts(path) == ["one", "I see.", "four", "I see."]
        ends = branches(path, s.app.agent.session.turns[-1].message_id)
        assert [(end.turns, end.question, end.is_current) for end in ends] == [(4, "four", True), (6, "three", False)]
        await s.ask("/branch")
        await s.until(lambda: isinstance(s.app.screen, Pick))
        await s.pilot.press("down", "enter")
        await s.until(lambda: [q.text for q in s.questions] == ["one", "two", "three"])
        assert texts(path)[-2:] == ["three", "I see."]
        await s.ask("five")
        assert texts(path) == ["one", "I see.", "two", "I see.", "three", "I see.", "five", "I see."]


async def test_back_takes_the_last_exchange_back_for_good(real: Any) -> None:
    async with real() as s:
        await s.ask("one")
        await s.ask("two")
        await s.ask("/back")
        await s.until(lambda: s.chat.prompt.text == "two" and len(s.questions) == 1)
        assert texts(s.app.agent.session.path) == ["one", "I see."]


async def test_earlier_questions_are_found_in_all_conversations(real: Any) -> None:
    async with real() as s:
        await s.ask("where is the quokka")
        s.chat.new_session()
        await s.until(lambda: not s.questions)
        await s.ask("what time is it")
        await s.pilot.press("ctrl+r")
        await s.until(lambda: isinstance(s.app.screen, Pick))
        assert s.app.screen.lines == ["what time is it", "where is the quokka"]
        await s.type("quok")
        await s.pilot.press("enter")
        await s.until(lambda: s.chat.prompt.text == "where is the quokka")


async def test_why_names_molt_memories_and_what_is_near(real: Any) -> None:
    async with real() as s:
        await s.ask("when do the backups to Baleia run?")
        await s.until(lambda: s.replies and s.replies[-1].memories)
        await s.ask("/why")
        await s.until(lambda: any(note.startswith("spoken by") for note in s.notes))
        note = s.notes[-1]
        assert "molt 1" in note
        assert "was shown    MEMORY.md:" in note
        assert "none of the" in note  # what the shipped molt learnt is not in this home


async def test_context_says_what_he_sees(real: Any) -> None:
    async with real() as s:
        await s.ask("one")
        await s.ask("/context")
        await s.until(lambda: any("identity" in note for note in s.notes))
        assert "2 in view" in s.notes[-1]
        assert "nothing has left his view" in s.notes[-1]
