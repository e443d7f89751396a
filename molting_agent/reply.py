"""A reply while it is spoken: the engine's stream turned into clean text, and its measures."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from memory.api import RecalledMemory
from molting_agent.clean import Cleaner
from molting_agent.events import ReplyDelta, ReplyFinished, Unbacked
from molting_agent.quotes import made_up
from molting_agent.runtime.protocol import Delta, Done
from molting_agent.thoughts import Thoughts
from molting_agent.tools.claims import unbacked
from molting_agent.tools.results import ToolUse


@dataclass(slots=True)
class Reply:
    """What was said so far. ``started`` is the ``time.monotonic()`` at which the question came in.

    ``known`` are the lines of the identity and the memories that were shown before: he may quote them too.
    """

    message_id: str
    molt: int
    memories: tuple[RecalledMemory, ...]
    started: float
    uses: tuple[ToolUse, ...] = ()
    kept_wish: bool = False
    known: tuple[str, ...] = ()
    text: str = ""
    first_token_s: float = 0.0
    done: Done | None = None
    _cleaner: Cleaner = field(default_factory=Cleaner)
    _thoughts: Thoughts = field(default_factory=Thoughts)

    @property
    def thinking(self) -> str:
        """What he thought aloud before the reply; "" mostly."""
        return self._thoughts.text.strip()

    @property
    def reason(self) -> str:
        """``stop``, ``length`` or ``cancelled``; a stream that never came to its end counts as cancelled."""
        return self.done.reason if self.done else "cancelled"

    @property
    def stopped(self) -> bool:
        """It is not whole because somebody ended it."""
        return self.reason == "cancelled"

    @property
    def usage(self) -> dict[str, int]:
        """Tokens, under the names of the transcript's format."""
        if not self.done:
            return {}
        evaluated = self.done.evaluated_tokens
        return {
            "input": evaluated,
            "output": self.done.reply_tokens,
            "cacheRead": self.done.prompt_tokens - evaluated,
            "totalTokens": self.done.prompt_tokens + self.done.reply_tokens,
        }

    def begin_anew(self) -> None:
        """Forget what was said: the engine died and is asked once more."""
        self.text, self.first_token_s, self.done = "", 0.0, None
        self._cleaner, self._thoughts = Cleaner(), Thoughts()

    def deltas(
        self, stream: Iterator[Delta | Done], is_stopped: Callable[[], bool], cancel: Callable[[], None]
    ) -> Iterator[ReplyDelta]:
        """Pass the stream on as clean text and keep it; ``cancel`` is called when ``is_stopped`` turns true."""
        for item in stream:
            if isinstance(item, Done):
                self.done = item
                shown = self._thoughts.end()
            else:
                if is_stopped():  # the stop may have come before the engine knew of this request
                    cancel()
                shown = self._thoughts.feed(self._cleaner.feed(item.text))
            if not self.text:
                shown = shown.lstrip()
            if shown:
                self.first_token_s = self.first_token_s or time.monotonic() - self.started
                self.text += shown
                yield ReplyDelta(shown)

    def claims(self) -> list[Unbacked]:
        """What he says he did and nothing of this turn did; of a ``kept_wish`` the program itself wrote a memory.

        And a note that he quotes and that was not shown to him.
        """
        receipts = ("remember",) if self.kept_wish else ()
        found = [Unbacked(self.message_id, claim) for claim in unbacked(self.text, self.uses, receipts)]
        shown = [*(memory.text for memory in self.memories), *(use.result for use in self.uses), *self.known]
        if quote := made_up(self.text, shown):
            found.append(Unbacked(self.message_id, quote, "No note that he was shown says so."))
        return found

    def finished(self) -> ReplyFinished:
        """The event that ends the turn."""
        done = self.done or Done("cancelled", 0, 0, 0, 0.0, 0.0)
        return ReplyFinished(
            message_id=self.message_id,
            text=self.text.strip(),
            molt=self.molt,
            reason=self.reason,
            prompt_tokens=done.prompt_tokens,
            evaluated_tokens=done.evaluated_tokens,
            reply_tokens=done.reply_tokens,
            first_token_s=self.first_token_s,
            total_s=time.monotonic() - self.started,
            tokens_per_s=done.tokens_per_s,
            prefix_restored=done.prefix_restored,
            memories=self.memories,
            uses=self.uses,
            thinking=self.thinking,
        )
