"""Lists to choose from: earlier questions of all conversations, and the branches of this one."""

from typing import TYPE_CHECKING

from molting_agent.ui.screens.pick import Pick

if TYPE_CHECKING:
    from molting_agent.agent import Agent
    from molting_agent.branches import Branch
    from molting_agent.ui.chat import ChatScreen

QUESTIONS = 2000


def pick_question(chat: "ChatScreen") -> None:
    """Ctrl+R: the chosen question stands in the prompt, to be sent or changed."""

    def work(agent: "Agent") -> list[str]:
        from molting_agent.session_search import questions

        return questions(agent.home.sessions_dir, QUESTIONS)

    def found(asked: list[str]) -> None:
        def chosen(place: int | None) -> None:
            if place is not None:
                chat.prompt.put(asked[place])
                chat.prompt.focus()

        if asked:
            chat.app.push_screen(Pick("What you asked before, newest first", asked), chosen)
        else:
            chat.toast("Nothing was asked yet.")

    chat.with_agent(work, then=found)


def pick_branch(chat: "ChatScreen") -> None:
    """/branch: the chosen end of this conversation goes on."""

    def work(agent: "Agent") -> "list[Branch]":
        from molting_agent.branches import branches

        turns = agent.session.turns
        path = agent.session.path
        return branches(path, turns[-1].message_id if turns else "") if path else []

    async def found(ends: "list[Branch]") -> None:
        if len(ends) < 2:
            await chat.note("This conversation has one branch. Alt+Up to a message, then b, begins another.")
            return

        def chosen(place: int | None) -> None:
            if place is not None and not ends[place].is_current:
                go_to(chat, ends[place])

        lines = [branch_line(one) for one in ends]
        chat.app.push_screen(Pick("Branches of this conversation, newest first", lines), chosen)

    chat.when_free(work, then=found)


def go_to(chat: "ChatScreen", end: "Branch") -> None:
    """Go on with another branch of this conversation."""

    def work(agent: "Agent") -> None:
        agent.change_branch(end.message_id)

    async def changed(_result: None) -> None:
        await chat.show_session({})

    chat.when_free(work, then=changed)


def branch_line(end: "Branch") -> str:
    """``● 2026-02-08 14:03   12 turns  the last question of it``"""
    mark, when = "●" if end.is_current else " ", end.timestamp[:16].replace("T", " ")
    return f"{mark} {when}  {end.turns:>3} turns  {end.question}"
