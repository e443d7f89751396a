"""The turn loop: words to disk, recall, prompt, engine, reply to disk, each step told as a value event."""

import contextlib
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from distill.registry import Registry
from distill.targets import Learnable, learnable
from memory.api import Memory, RecalledMemory, Receipt
from memory.errors import EngineError, HomeError, MoltingError, UsageError
from memory.home import Home
from memory.remembering import asked_to_remember
from molting_agent.config import Config
from molting_agent.context import Window, chat_turns, describe, shown_ids
from molting_agent.events import ContextTrimmed, Event, MemoriesShown, MemoryKept, Notice, ReplyStarted, UserSaved
from molting_agent.indexer import Indexer, memory_notice
from molting_agent.molt import training_paused
from molting_agent.reply import Reply
from molting_agent.runtime.models import ModelFile
from molting_agent.runtime.prompt import read_identity
from molting_agent.runtime.protocol import Segment
from molting_agent.session import Session, SessionSummary, SessionTurn
from molting_agent.settling import Settling
from molting_agent.speaker import OpenEngine, Speaker
from molting_agent.status import Status
from molting_agent.talks import Talks
from molting_agent.tools.gate import suggested
from molting_agent.tools.results import ToolUse

if TYPE_CHECKING:
    from molting_agent.tools.acting import Acting, Consent

__all__ = ["Agent", "OpenEngine", "Session", "SessionSummary", "SessionTurn", "Status"]

INDEX_WAIT_S = 1.0
"""A question waits this long for files that are just being read; after that it is asked of what is there."""
CLOSE_WAIT_S = 2.0
"""Leaving waits this long for the memory; what is not done then is done at the next start."""


class Agent(Talks):
    """One agent in one home: a conversation, its memory, and the model that speaks.

    ``turn`` runs in one worker thread at a time; ``stop``, ``status`` and ``poll_swap`` may be used from any. A running
    retraining is held still while a reply streams.
    """

    def __init__(
        self, home: Home, config: Config, *, memory: Memory | None = None, open_engine: OpenEngine | None = None
    ) -> None:
        super().__init__(home.sessions_dir)
        self.home = home
        self.config = config
        self.registry = Registry(home.molts_dir)
        self.status = Status(context_tokens=config.model.context_tokens)
        self.last_error: MoltingError | None = None
        self.speaker = Speaker(home, config.model, self.registry, open_engine)
        self.consent: Consent = lambda _proposal: "no"
        """Asks the person, in the thread of the turn; whoever opens him sets it. Where nobody can be asked it is no."""
        self._settling = Settling(home, config.model)
        self._memory = memory
        self._indexer: Indexer | None = None
        self._window: Window | None = None
        self._shown: dict[str, RecalledMemory] = {}
        self._stop = threading.Event()
        self._opening = threading.RLock()

    # -- opening and closing -------------------------------------------------------------------------------------------

    @property
    def memory(self) -> Memory:
        """The home's memory, opened at its first use. Errors: MemoryStoreError."""
        with self._opening:
            if self._memory is None:
                self._memory = Memory(self.home)
            return self._memory

    def start(self) -> list[Notice]:
        """Start the engine with its champion; fast, the model loads in the background. Errors: ModelError."""
        notices = self.speaker.start()
        self._show(model_name=self.speaker.model.name if self.speaker.model else "", molt=self.speaker.molt)
        return notices

    def open(self) -> list[Notice]:
        """Load the model and evaluate the fixed beginning of the prompt; slow, for a background thread.

        The memory is loaded at the same time in a thread of its own. Errors: ModelError, EngineError, HomeError.
        """
        notices = self.start()
        self._index_soon(vectors=True, warm=True)
        if self._indexer is not None:
            self._indexer.watch(self.home)
        self.speaker.warm(self._the_window().system)
        return notices

    def settle(self, timeout_s: float) -> bool:
        """Before ``close``: let the memory take in what was said; False when that takes longer."""
        return self._indexer is None or self._indexer.close(timeout_s)

    def close(self, *, wait_s: float = CLOSE_WAIT_S) -> None:
        """End the engine and let the memory finish what it is writing; safe to call twice."""
        self.stop()
        self.speaker.close()
        if self.settle(wait_s) and self._memory is not None:
            self._memory.close()

    @property
    def indexing(self) -> float | None:
        """Which share of the new memories has its vector, while they are being embedded; None otherwise."""
        now = self._indexer.progress if self._indexer is not None else None
        return now.done / now.total if now is not None and now.total else None

    @property
    def model(self) -> ModelFile | None:
        """The base model in use; None before ``start``."""
        return self.speaker.model

    # -- a turn --------------------------------------------------------------------------------------------------------

    def turn(
        self, text: str, *, with_memory: bool = True, again: bool = False, errand: str = ""
    ) -> Generator[Event, None, None]:
        """One question and its reply; ends with ReplyFinished, or with a Notice of severity error (see ``last_error``).

        ``again`` asks the last question of the conversation anew: it is on disk already, and the old reply stays there
        as another branch (see ``go_back``). ``errand`` is what ``text`` asks of him where nobody typed it: nothing of
        it is kept as a wish, and he uses only tools that look.

        A second ReplyStarted of the same message begins the reply anew: the engine had died and was asked once more.
        A caller that closes the generator stops the reply. Errors: UsageError while another turn runs.
        """
        if not self._busy.acquire(blocking=False):
            raise UsageError("a reply is under way; stop it or wait for its end")
        try:
            self._stop.clear()
            self.last_error = None
            yield from self._turn(text, with_memory, again, errand)
        except MoltingError as error:
            self.last_error = error
            yield Notice(str(error), "error")
        finally:
            self._busy.release()

    def stop(self) -> None:
        """End the reply that is under way; what he said so far is kept. Any thread."""
        self._stop.set()
        self.speaker.cancel()

    def poll_swap(self) -> list[Event]:
        """Between turns: let a newly promoted molt speak from here on. Cheap when nothing changed.

        A molt that slows him down is merged in the background once nobody has asked anything for a while.
        """
        if self._busy.locked():
            return []
        before = self.speaker.running
        events = self._swap_if_changed()
        if self.speaker.running is not before and self._window is not None:
            with contextlib.suppress(EngineError):  # the next turn meets it again, and says so
                self.speaker.warm(self._window.system)  # now, while nobody waits for it
        self._settling.look(self.speaker.speaks)
        return events

    def _turn(self, text: str, with_memory: bool, again: bool, errand: str) -> Iterator[Event]:
        started = time.monotonic()
        try:
            message_id = self.session.turns[-1].message_id if again else self.session.add_user(text)
        except OSError as error:
            raise HomeError(f"{self.home.sessions_dir}: your words could not be kept ({error.strerror})") from None
        yield UserSaved(message_id, text)
        wish = "" if errand else asked_to_remember(text)
        yield from self._keep_wish(wish)
        yield from self.start()
        yield from self._swap_if_changed()
        memories: list[RecalledMemory] = []
        if with_memory and self.config.memory.k:
            asked = time.monotonic()
            try:
                memories = self._recall_for_turn(text)
            except Exception as error:  # a memory can fail in many ways; none of them may cost the turn
                yield memory_notice(str(error) or type(error).__name__)
            if self._indexer and (why := self._indexer.take_error()):
                yield memory_notice(why)
            if self._indexer and (word := self._indexer.take_notice()):
                yield Notice(word, "warning")
            yield MemoriesShown(tuple(memories), time.monotonic() - asked)
        self._shown.update((memory.id, memory) for memory in memories)
        with training_paused(self.home), self._settling.held():
            uses = [] if wish else (yield from self._act(errand or text, only_look=bool(errand)))
            reply = Reply(self.session.new_message_id(), self.status.molt, tuple(memories), started, tuple(uses))
            reply.kept_wish = bool(wish)
            yield from self._reply(reply)

    def _act(self, text: str, *, only_look: bool) -> Generator[Event, None, list[ToolUse]]:
        """Use a tool where the words call for one; plain talk costs a few patterns. What came of it is on disk."""
        if not self.config.tools.enabled or not suggested(text):
            return []
        uses = yield from self.acting.turn(text, self.consent, only_look=only_look)
        who = {"base_sha256": self.speaker.base_sha256, "model": self.status.model_name}
        for use in uses:
            self.session.add_use(use, molt=self.status.molt, **who)
        return uses

    @cached_property
    def acting(self) -> "Acting":
        """His tools, made at their first use. Errors: UsageError for a tool in config.toml that is none."""
        from molting_agent.tools.acting import Acting

        memory, stopped = (lambda: self.memory), self._stop.is_set
        return Acting(
            self.home, self.config.tools, self.speaker, open_memory=memory, forget=self.forget, is_stopped=stopped
        )

    def _reply(self, reply: Reply) -> Iterator[Event]:
        newest_ids = [memory.id for memory in reply.memories]
        window = self._the_window()  # first: of a resumed conversation it finds the memories that were shown
        reply.known = (*window.system.splitlines(), *(memory.text for memory in self._shown.values()))
        prompt, left_now = window.prompt(chat_turns(self.session.turns, self._shown, newest_ids, reply.uses))
        if left_now:
            yield ContextTrimmed(left_now, len(prompt.messages) - prompt.prefix_messages)
        if prompt.tokens >= self.speaker.context_tokens:
            raise UsageError(
                f"too long: identity, memories and question are {prompt.tokens} tokens, and the window has "
                f"{self.speaker.context_tokens}; shorten the question, or raise model.context_tokens in config.toml"
            )
        segments, prefix_segments = self.speaker.render(prompt.messages, prompt.prefix_messages)
        try:
            try:
                yield from self._speak(reply, segments, prefix_segments)
            except EngineError as error:
                if self._stop.is_set():
                    raise
                yield Notice(f"{error}; he is asked once more", "warning")
                reply.begin_anew()
                yield from self._speak(reply, segments, prefix_segments)
        except (EngineError, GeneratorExit):  # it failed twice, or nobody listens any more: keep what was said
            if reply.text:
                self._keep(reply)
            raise
        self._keep(reply)
        yield from self.speaker.take_restarts()
        yield from reply.claims()
        yield reply.finished()

    def _speak(self, reply: Reply, segments: Sequence[Segment], prefix_segments: int) -> Iterator[Event]:
        yield ReplyStarted(reply.message_id, reply.molt)
        if not self._stop.is_set():
            stream = self.speaker.generate(segments, prefix_segments)
            yield from reply.deltas(stream, self._stop.is_set, self.speaker.cancel)

    def _keep(self, reply: Reply) -> None:
        """Put the reply on disk, have it indexed, and count what it took."""
        self.session.add_reply(
            reply.message_id,
            reply.text,
            molt=reply.molt,
            base_sha256=self.speaker.base_sha256,
            model=self.status.model_name,
            memories=[memory.id for memory in reply.memories],
            stopped=reply.stopped,
            usage=reply.usage,
            thinking=reply.thinking,
            uses=reply.uses,
        )
        if done := reply.done:
            self._show(context_used=done.prompt_tokens + done.reply_tokens, tokens_per_s=done.tokens_per_s)
        self._show(memories_shown=len(reply.memories))
        self._index_soon(vectors=True)

    def _keep_wish(self, wish: str) -> Iterator[Event]:
        """Remember what the person asks to have remembered, by plain rules: no model decides about it."""
        if wish:
            try:
                yield MemoryKept(self.memory.add(wish))
            except MoltingError as error:  # the words are in the transcript: a broken memory may not cost the turn
                yield Notice(f"this was not kept in MEMORY.md ({error})", "warning")

    def _recall_for_turn(self, text: str) -> list[RecalledMemory]:
        """Memories that the model does not see anyway: not from the part of this conversation that is in the window."""
        if self._indexer is None:
            self._index_soon(vectors=False)
        if self._indexer is not None:
            self._indexer.wait(INDEX_WAIT_S)
        settings = self.config.memory
        left_out = self._window.left_out if self._window else 0
        found = self.memory.recall(
            text,
            k=settings.k,
            budget_tokens=settings.budget_tokens,
            exclude_transcript="" if left_out else self.session.id,
        )
        in_window = {turn.message_id for turn in self.session.turns[left_out:]}
        return [memory for memory in found if memory.message_id not in in_window]

    # -- memory and molts ----------------------------------------------------------------------------------------------

    def remember(self, text: str) -> Receipt:
        """Write a memory into MEMORY.md. Errors: MemoryStoreError, HomeError."""
        return self.memory.add(text)

    def forget(self, memory_id: str) -> list[Receipt]:
        """Remove a memory everywhere in the home, datasets included; it leaves this conversation's prompt too."""
        from molting_agent.forgetting import forget

        farewell = forget(self.home, self.memory, [memory_id])
        for gone in (memory_id, *farewell.gone.ids):
            self._shown.pop(gone, None)
        return farewell.receipts

    def undo(self, memory_id: str = "") -> Receipt:
        """Take back the last memory that was written, or this one. Errors: UsageError when there is none."""
        return self.memory.undo(memory_id)

    def recall(self, query: str) -> list[RecalledMemory]:
        """What would be remembered for ``query``, this conversation included."""
        settings = self.config.memory
        return self.memory.recall(query, k=max(settings.k, 1), budget_tokens=settings.budget_tokens)

    def learnable(self) -> Learnable:
        """How many replies a retraining could learn from, how many of them are new, and how many are still missing."""
        self.start()
        self.memory.sync()
        return learnable(self.memory.conversations(), self.registry, self.speaker.base_sha256)

    def promote(self, number: int) -> list[Event]:
        """Let molt ``number`` (0: the base) speak. Errors: MoltError when it is damaged or of another base."""
        self.start()
        self.hold_swap(False)
        self.registry.promote(number, self.speaker.base_sha256)
        return self.poll_swap()

    def hold_swap(self, holds: bool) -> None:
        """Let the molt that speaks go on although another was promoted, until the person has chosen. Any thread."""
        self.speaker.holds = holds

    def rollback(self) -> list[Event]:
        """Return to the molt before this one. Errors: MoltError when there is none."""
        self.start()
        self.hold_swap(False)
        self.registry.rollback(self.speaker.base_sha256)
        return self.poll_swap()

    def describe_context(self) -> list[str]:
        """What the next question will be asked with, as lines for a person. Errors: EngineError."""
        window = self._the_window()
        return describe(self.session.turns, self._shown, window, self.speaker.context_tokens)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _swap_if_changed(self) -> list[Event]:
        events = self.speaker.swap_if_changed()
        self._show(molt=self.speaker.molt)
        return events

    def _session_changed(self) -> None:
        self._window = None
        self._show(context_used=0, memories_shown=0)

    def _words_changed(self) -> None:
        self._index_soon(vectors=True)

    def _show(self, **values: Any) -> None:
        self.status = replace(self.status, **values)

    def _the_window(self) -> Window:
        """The window of this conversation; identity files are read once for each, so that its beginning stays fixed."""
        if self._window is None:
            speaker = self.speaker
            self._show(context_tokens=speaker.context_tokens)
            system = read_identity(self.home.identity_dir)
            window = Window(system, speaker.context_tokens - speaker.reply_tokens, speaker.count_tokens)
            answered = [index for index, turn in enumerate(self.session.turns, 1) if turn.role == "assistant"]
            settled = self.session.turns[: answered[-1] if answered else 0]
            missing = [memory_id for memory_id in shown_ids(settled) if memory_id not in self._shown]
            if missing:
                self._shown.update((memory.id, memory) for memory in self.memory.get(missing))
            window.resume(chat_turns(settled, self._shown))
            self._window = window
        return self._window

    def _index_soon(self, *, vectors: bool, warm: bool = False) -> None:
        """Never raises: a memory that cannot be opened says so when it is asked."""
        try:
            self._indexer = self._indexer or Indexer(self.memory)
        except MoltingError:
            return
        self._indexer.soon(vectors=vectors, warm=warm)
