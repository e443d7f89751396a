"""The chat screen: asking, streaming, stopping, waiting, blocks, commands, and text that must stay text."""

from typing import Any

import pytest
from fake_agent import FakeAgent
from textual.widgets import Markdown, TextArea

from molting_agent.session import SessionTurn
from molting_agent.ui.foot import Foot
from molting_agent.ui.hints import SlashHints
from molting_agent.ui.pill import NewPill
from molting_agent.ui.queue_line import QueueLine
from molting_agent.ui.screens.editor import Editor


async def test_a_question_is_answered_with_its_memories(stage: Any) -> None:
    async with stage() as s:
        await s.type("is baleia ok?")
        await s.pilot.press("enter")
        await s.until(lambda: s.replies and not s.replies[0].streaming)
        assert s.agent.asked == ["is baleia ok?"]
        assert [block.text for block in s.questions] == ["is baleia ok?"]
        reply = s.replies[0]
        assert reply.text == "No. About **12 percent** is free, and our line is 15."
        assert reply.query_one(Markdown).source == reply.text
        assert [memory.citation for memory in reply.memories] == ["MEMORY.md:14", "MEMORY.md:13"]
        assert reply.message_id == "a1"
        assert s.chat.prompt.text == ""
        assert s.chat.query_one("#status").fields.tokens_per_s == 38.4
        assert s.chat.query_one("#header").molt == 1


async def test_typing_is_possible_while_he_wakes_up_and_the_question_waits(stage: Any) -> None:
    agent = FakeAgent()
    agent.can_open.clear()
    async with stage(agent, ready=False) as s:
        await s.type("hello")
        await s.pilot.press("enter")
        await s.pilot.pause()
        assert s.agent.asked == []
        assert s.chat.query_one(QueueLine).display
        agent.can_open.set()
        await s.until(lambda: s.replies and not s.replies[0].streaming)
        assert s.agent.asked == ["hello"]
        assert not s.chat.query_one(QueueLine).display


async def test_an_agent_that_cannot_open_says_why_in_one_line(stage: Any) -> None:
    async with stage(FakeAgent(opening="the model file is truncated; run: molt doctor")) as s:
        await s.until(lambda: s.notes)
        assert s.notes == ["the model file is truncated; run: molt doctor"]


async def test_escape_stops_the_reply_and_keeps_what_was_said(stage: Any) -> None:
    agent = FakeAgent(replies=["one two three four"], paced=True)
    async with stage(agent) as s:
        s.chat.prompt.put("count")
        s.chat.prompt.action_send()
        agent.words.release(2)
        await s.until(lambda: s.replies and s.replies[0].text == "one two")
        await s.pilot.press("escape")
        await s.until(lambda: not s.chat.turns.busy)
        assert s.replies[0].text == "one two"
        assert s.replies[0].reason == "cancelled"


async def test_questions_wait_their_turn_and_can_be_taken_back(stage: Any) -> None:
    agent = FakeAgent(replies=["one two"], paced=True)
    async with stage(agent) as s:
        for text in ("first", "second", "third"):
            s.chat.prompt.put(text)
            s.chat.prompt.action_send()
            await s.pilot.pause()
        await s.until(lambda: agent.asked == ["first"])
        assert list(s.chat.turns.waiting) == ["second", "third"]
        assert "second" in str(s.chat.query_one(QueueLine).render())
        await s.pilot.press("up")
        assert s.chat.prompt.text == "third"
        s.chat.prompt.clear()
        agent.words.release(100)
        await s.until(lambda: agent.asked == ["first", "second"] and not s.chat.turns.busy)
        assert [block.text for block in s.questions] == ["first", "second"]


async def test_after_an_error_the_waiting_questions_go_back_into_the_prompt(stage: Any) -> None:
    agent = FakeAgent()
    agent.can_open.clear()
    agent.failing = "the engine ended (signal 9); it is started again at the next question"
    async with stage(agent, ready=False) as s:
        for text in ("first", "second"):
            s.chat.prompt.put(text)
            s.chat.prompt.action_send()
            await s.pilot.pause()
        agent.can_open.set()
        await s.until(lambda: s.notes and not s.chat.turns.busy)
        assert s.notes == [agent.failing]
        assert agent.asked == ["first"]
        assert s.chat.prompt.text == "second"
        assert s.replies == []


async def test_new_lines_do_not_send_and_enter_does(stage: Any) -> None:
    async with stage() as s:
        await s.pilot.press("a", "ctrl+j", "b", "shift+enter", "c")
        assert s.chat.prompt.text == "a\nb\nc"
        assert s.agent.asked == []
        await s.pilot.press("enter")
        await s.until(lambda: s.agent.asked == ["a\nb\nc"])


async def test_pasted_text_is_cleaned_and_never_sends(stage: Any) -> None:
    from textual.events import Paste

    async with stage() as s:
        s.chat.prompt.post_message(Paste("one\r\ntwo\x1b[31m\x07\n"))
        await s.pilot.pause()
        assert s.chat.prompt.text == "one\ntwo\n"
        assert s.agent.asked == []


async def test_up_in_an_empty_prompt_brings_back_earlier_questions(stage: Any) -> None:
    async with stage() as s:
        await s.ask("first")
        await s.ask("second")
        await s.pilot.press("up")
        assert s.chat.prompt.text == "second"
        await s.pilot.press("up")
        assert s.chat.prompt.text == "first"
        await s.pilot.press("down", "down")
        assert s.chat.prompt.text == ""


async def test_block_cursor_rates_and_takes_back(stage: Any) -> None:
    async with stage() as s:
        await s.ask("hello")
        await s.pilot.press("alt+up")
        reply = s.replies[0]
        assert s.app.focused is reply
        assert "dislike" in reply.query_one(Foot).render().plain
        await s.pilot.press("plus")
        await s.until(lambda: reply.rating == 1)
        await s.pilot.press("minus")
        await s.until(lambda: reply.rating == -1)
        await s.pilot.press("minus")
        await s.until(lambda: reply.rating == 0)
        assert s.agent.rated == [("a1", 1), ("a1", -1), ("a1", 0)]
        await s.pilot.press("alt+up")
        assert s.app.focused is s.questions[0]
        assert "dislike" not in reply.query_one(Foot).render().plain
        await s.pilot.press("alt+down", "alt+down")
        assert s.app.focused is s.chat.prompt


async def test_a_reply_is_edited_in_a_dialog(stage: Any) -> None:
    async with stage() as s:
        await s.ask("hello")
        await s.pilot.press("alt+up", "e")
        await s.until(lambda: isinstance(s.app.screen, Editor))
        s.app.screen.query_one(TextArea).text = "Better said."
        await s.pilot.press("ctrl+s")
        await s.until(lambda: s.agent.edited)
        assert s.agent.edited == [("a1", "Better said.")]
        await s.until(lambda: s.replies[0].query_one(Markdown).source == "Better said.")
        assert s.replies[0].edited


async def test_an_edit_that_changes_nothing_or_is_left_is_not_kept(stage: Any) -> None:
    async with stage() as s:
        await s.ask("hello")
        await s.pilot.press("alt+up", "e")
        await s.pilot.press("ctrl+s")
        await s.pilot.press("e", "x", "escape")
        await s.pilot.pause()
        assert s.agent.edited == []
        assert s.app.screen is s.chat


async def test_why_opens_the_memories_and_copy_copies(stage: Any) -> None:
    async with stage() as s:
        await s.ask("hello")
        await s.pilot.press("alt+up", "enter")
        reply = s.replies[0]
        assert reply.query_one(".memories").display
        assert "03:20" in str(reply.query_one(".memories").render())
        await s.pilot.press("enter")
        assert not reply.query_one(".memories").display
        await s.pilot.press("y")
        assert s.app.clipboard == reply.text
        await s.pilot.press("alt+up", "e")
        assert s.chat.prompt.text == "hello"


async def test_the_view_follows_only_at_its_end(stage: Any) -> None:
    async with stage(FakeAgent(replies=["word " * 300]), size=(80, 20)) as s:
        await s.ask("first")
        await s.until(lambda: s.chat.conversation.at_end and s.chat.conversation.max_scroll_y > 0)
        await s.pilot.press("pageup")
        await s.until(lambda: not s.chat.conversation.at_end)
        place = s.chat.conversation.scroll_offset.y
        await s.chat.note("something new")
        await s.pilot.pause()
        assert s.chat.conversation.scroll_offset.y == place
        pill = s.chat.query_one(NewPill)
        assert pill.display
        assert "1 new" in str(pill.render())
        await s.pilot.press("end")
        await s.until(lambda: s.chat.conversation.at_end)
        assert not pill.display
        await s.chat.note("and more " * 60)
        await s.until(lambda: s.chat.conversation.at_end)
        assert not pill.display


async def test_slash_list_completes_and_runs(stage: Any) -> None:
    async with stage() as s:
        await s.type("/rem")
        hints = s.chat.query_one(SlashHints)
        assert hints.display
        assert [command.name for command in hints.commands] == ["remember"]
        await s.pilot.press("tab")
        assert s.chat.prompt.text == "/remember "
        assert not hints.display
        await s.type("the router")
        await s.pilot.press("enter")
        await s.until(lambda: s.notes)
        assert s.notes == ["remembered in MEMORY.md:22: the router"]
        await s.type("/")
        await s.pilot.press("down", "up", "escape")
        assert not hints.display
        assert s.chat.prompt.text == "/"


async def test_enter_on_a_command_that_needs_words_completes_it_first(stage: Any) -> None:
    async with stage() as s:
        await s.type("/reca")
        await s.pilot.press("enter")
        assert s.chat.prompt.text == "/recall "
        await s.type("backups")
        await s.pilot.press("enter")
        await s.until(lambda: s.notes)
        assert "MEMORY.md:13" in s.notes[0]
        assert "m0000013" in s.notes[0]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/retrian", "There is no /retrian; did you mean /retrain?"),
        ("/remember", "/remember TEXT: write a line into MEMORY.md"),
        ("/recall elephants", "Nothing is remembered about: elephants"),
        (
            "/forget m0000013",
            "removed from MEMORY.md:14: Backups: every night at 03:20 to an external disk called Baleia.",
        ),
        ("/forget nothing", "There is no memory nothing."),
        ("/promote x", "/promote takes the number of a molt, such as /promote 2."),
        ("/promote 2", "molt 1 → molt 2   From here on molt 2 speaks."),
        ("/rollback", "molt 1 → the base   From here on the base speaks."),
        ("/resume nope", "nope: no conversation of that id; see: molt sessions ls"),
        ("/retrain -3", "/retrain takes up to 1,440 minutes and a recipe, such as /retrain 20 context."),
        ("/stop", "Nothing runs."),
        ("/theme pink", "There is no theme pink"),
    ],
)
async def test_commands_say_what_they_did_in_the_conversation(stage: Any, line: str, says: str) -> None:
    async with stage() as s:
        await s.ask(line)
        await s.until(lambda: s.notes, line)
        assert s.notes[0].startswith(says)
        assert s.agent.asked == []


async def test_model_theme_and_new(stage: Any) -> None:
    async with stage() as s:
        await s.ask("/model")
        await s.until(lambda: s.notes)
        assert s.notes[0].startswith("He runs on SmolLM2-135M.")
        await s.ask("/theme light")
        assert s.app.theme == "molting-light"
        await s.ask("/theme ansi")
        assert s.app.theme == "ansi-dark"
        await s.ask("hello")
        await s.ask("/new")
        await s.until(lambda: not s.chat.conversation.blocks)
        assert s.agent.session.id == "s-new"
        assert s.chat.conversation.welcome.display


async def test_a_command_before_he_is_awake_says_so(stage: Any) -> None:
    agent = FakeAgent()
    async with stage(agent, ready=False) as s:
        s.app.agent = None
        s.chat.with_agent(lambda him: him.remember("x"))
        await s.until(lambda: s.notes)
        assert "waking up" in s.notes[0]


async def test_what_must_not_happen_during_a_turn_is_refused(stage: Any) -> None:
    agent = FakeAgent(paced=True)
    async with stage(agent) as s:
        s.chat.prompt.put("hello")
        s.chat.prompt.action_send()
        await s.until(lambda: s.replies)
        await s.pilot.press("ctrl+n")
        await s.until(lambda: s.notes)
        assert s.notes == ["He is speaking; Esc stops him, then try again."]
        assert s.agent.session.id == "s0"


async def test_resume_shows_the_conversation_with_ratings_and_memories(stage: Any) -> None:
    agent = FakeAgent()
    agent.stored["s9"] = [
        SessionTurn("u1", "user", "when do backups run?"),
        SessionTurn("a1", "assistant", "03:20.", 3, ("m0000013", "gone"), rating=1, edited=True),
    ]
    async with stage(agent) as s:
        await s.ask("/resume s9")
        await s.until(lambda: s.replies)
        reply = s.replies[0]
        assert (reply.text, reply.molt, reply.rating, reply.edited) == ("03:20.", 3, 1, True)
        assert [memory.id for memory in reply.memories] == ["m0000013"]
        await s.pilot.press("up")
        assert s.chat.prompt.text == "when do backups run?"
