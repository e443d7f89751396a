"""One conversation without its secrets: every field that holds words, in the same order each time."""

from collections import Counter
from dataclasses import replace

from memory.scrub.scrubber import Scrubber
from memory.scrub.spans import PLACEHOLDER
from memory.transcripts.model import Alternative, ToolCall, Transcript, Turn


def scrub_conversation(transcript: Transcript) -> tuple[Transcript, Counter[str]]:
    """The conversation with placeholders, and how many were put in by kind.

    One value has one placeholder in the whole conversation. ``Turn.pasted`` stays on its words.
    """
    scrubber = Scrubber()
    found: Counter[str] = Counter()

    def scrub(text: str) -> str:
        result = scrubber.scrub(text)
        found.update(result.found)
        return result.text

    def scrub_call(call: ToolCall) -> ToolCall:
        return replace(call, name=scrub(call.name), arguments=scrub(call.arguments), result=scrub(call.result))

    def scrub_turn(turn: Turn) -> Turn:
        result = scrubber.scrub(turn.text, turn.pasted)
        found.update(result.found)
        return replace(
            turn,
            text=result.text,
            pasted=result.ranges,
            rationale=scrub(turn.rationale),
            edited_text=None if turn.edited_text is None else scrub(turn.edited_text),
            tool_calls=tuple(scrub_call(call) for call in turn.tool_calls),
        )

    turns = tuple(scrub_turn(turn) for turn in transcript.turns)
    others = tuple(
        Alternative(one.message_id, scrub(one.text), scrub(one.rationale)) for one in transcript.alternatives
    )
    return replace(transcript, turns=turns, alternatives=others, title=scrub(transcript.title)), found


def has_placeholders(turn: Turn) -> bool:
    """Whether a stored turn holds placeholders: then what follows it can only be scrubbed together with it."""
    texts = [turn.text, turn.rationale, turn.edited_text or ""]
    texts += [part for call in turn.tool_calls for part in (call.name, call.arguments, call.result)]
    return any(PLACEHOLDER.search(text) for text in texts)
