"""What a model thinks aloud never reaches the reply, however the stream is cut; what only looks like it does."""

from hypothesis import given
from hypothesis import strategies as st

from molting_agent.thoughts import Thoughts


def run(text: str, cuts: list[int]) -> tuple[str, str]:
    thoughts, shown, last = Thoughts(), "", 0
    for cut in [*sorted(c % (len(text) + 1) for c in cuts), len(text)]:
        shown += thoughts.feed(text[last:cut])
        last = cut
    return shown + thoughts.end(), thoughts.text


CUTS = st.lists(st.integers(0, 200), max_size=30)
WORDS = st.text(alphabet="ab <>/thinkç\n", max_size=40)


@given(WORDS.filter(lambda t: "</think>" not in t), WORDS, CUTS)
def test_thoughts_and_reply_are_told_apart_at_any_cut(thought: str, reply: str, cuts: list[int]) -> None:
    assert run(f"<think>{thought}</think>{reply}", cuts) == (reply, thought)


@given(WORDS.filter(lambda t: not t.lstrip().startswith("<think>")), CUTS)
def test_a_reply_without_the_tag_passes_untouched(reply: str, cuts: list[int]) -> None:
    assert run(reply, cuts) == (reply, "")


def test_a_thought_that_never_ends_is_no_reply() -> None:
    assert run("<think>so far", []) == ("", "so far")
    assert run("<thi", []) == ("<thi", "")
