"""One conversation scrubbed once more before it is learnt from, with everything that is shown in it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from distill.dialogue import MemoryBlock
from distill.targets import Target, text_sha256
from memory.transcripts.model import Transcript

if TYPE_CHECKING:
    from memory.scrub import Scrubber


@dataclass(slots=True)
class ScrubbedTranscript:
    """A conversation without secrets and personal data; ``found`` counts the placeholders put in, by kind."""

    transcript: Transcript
    scrubber: "Scrubber"
    found: Counter[str] = field(default_factory=Counter)
    blocks: dict[str, str] = field(default_factory=dict)

    def block(self, memory_block: MemoryBlock) -> MemoryBlock:
        """``memory_block`` with what it gives scrubbed; notes are the person's own and were not scrubbed before."""

        def clean(ids: Sequence[str]) -> str:
            text = memory_block(ids)
            if text not in self.blocks:  # shown in the dialogue and again in its pairs: counted once
                done = self.scrubber.scrub(text)
                self.found.update(done.found)
                self.blocks[text] = done.text
            return self.blocks[text]

        return clean

    def with_digest(self, target: Target, said: str) -> Target:
        """The target with the digest of the reply as the memory holds it, where the text is no longer that."""
        return target if said == target.text else replace(target, said_sha256=text_sha256(said))


def scrubbed(transcript: Transcript) -> ScrubbedTranscript:
    """Scrub turns, rationales, edits and branches with one Scrubber, so that a placeholder means one thing throughout.

    Character ranges of pastes and tool calls are left out, as nothing is learnt from them. Errors: MemoryStoreError
    when the detector cannot be loaded.
    """
    from memory.scrub import Scrubber

    made = ScrubbedTranscript(transcript, Scrubber())

    def clean(text: str) -> str:
        done = made.scrubber.scrub(text)
        made.found.update(done.found)
        return done.text

    turns = tuple(
        turn
        if turn.role == "tool"
        else replace(
            turn,
            text=clean(turn.text),
            rationale=clean(turn.rationale),
            edited_text=None if turn.edited_text is None else clean(turn.edited_text),
            pasted=(),
            tool_calls=(),
        )
        for turn in transcript.turns
    )
    branches = tuple(replace(a, text=clean(a.text), rationale=clean(a.rationale)) for a in transcript.alternatives)
    made.transcript = replace(transcript, turns=turns, alternatives=branches)
    return made
