"""The prompt: append-only while it fits, and then the oldest half of the history goes at once."""

from pathlib import Path

from molting_agent.runtime.prompt import ChatTurn, Prompt, build, read_identity

SYSTEM = "I am Cláudio."


def words(text: str) -> int:
    return len(text.split())


def talk(turns: int) -> list[ChatTurn]:
    roles = ("user", "assistant")
    return [ChatTurn(roles[i % 2], f"turn {i} " + "word " * 8) for i in range(turns)]


def built(history: list[ChatTurn], budget: int = 10_000, left_out: int = 0) -> Prompt:
    return build(SYSTEM, history, budget_tokens=budget, count_tokens=words, left_out=left_out)


def test_prompt_only_grows_at_its_end() -> None:
    history = talk(7)
    short, long = built(history[:5]).messages, built(history).messages
    assert long[: len(short)] == short


def test_memories_stand_with_the_question_they_were_shown_for() -> None:
    history = [
        ChatTurn("user", "is it ok?", memories="Notes:\n- 15 percent"),
        *talk(2)[1:],
        ChatTurn("user", "and now?"),
    ]
    contents = [m.content for m in built(history).messages]
    assert contents[1] == "Notes:\n- 15 percent\n\nis it ok?"
    assert contents[3] == "and now?"


def test_full_window_drops_the_oldest_half_at_once_and_keeps_it_out() -> None:
    history = talk(21)
    prompt = built(history, budget=300)
    assert prompt.left_out >= 10
    assert prompt.tokens <= 300
    assert prompt.messages[1].role == "user"
    assert prompt.messages[-1].content == history[-1].text
    # The next turn starts from there: nothing comes back, nothing more goes.
    longer = built([*history, *talk(23)[21:]], budget=400, left_out=prompt.left_out)
    assert longer.left_out == prompt.left_out
    assert longer.messages[: len(prompt.messages)] == prompt.messages


def test_newest_question_stays_even_when_it_alone_is_too_long() -> None:
    prompt = built([*talk(4), ChatTurn("user", "word " * 500)], budget=100)
    assert [m.role for m in prompt.messages] == ["system", "user"]


def test_identity_is_soul_identity_user_in_that_order(tmp_path: Path) -> None:
    for name in ("USER.md", "SOUL.md", "IDENTITY.md", "MEMORY.md"):
        (tmp_path / name).write_text(f"# {name}\n")
    assert read_identity(tmp_path) == "# SOUL.md\n\n# IDENTITY.md\n\n# USER.md"
