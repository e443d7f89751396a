"""Who speaks: the configured base model in its engine, as its champion molt has made it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from distill.registry import Molt, Registry
from distill.running import running
from memory.errors import EngineError, MoltingError
from memory.home import Home
from molting_agent.config import ModelSettings
from molting_agent.events import Event, Notice, Swapped
from molting_agent.runtime.models import ModelFile, resolve_model
from molting_agent.runtime.protocol import Delta, Done, Engine, Sampling, Segment
from molting_agent.runtime.template import Message, prefix_length, render

OpenEngine = Callable[[ModelFile, Path | None], Engine]


class Speaker:
    """The engine of one home. ``start`` is fast (the model loads in the background); the first use waits for it."""

    def __init__(
        self, home: Home, settings: ModelSettings, registry: Registry, open_engine: OpenEngine | None = None
    ) -> None:
        self.model: ModelFile | None = None
        self.molt = 0
        self._home = home
        self._settings = settings
        self._registry = registry
        self._open_engine = open_engine or self._engine_client
        self._engine: Engine | None = None
        self._champion: Molt | None = None
        self.running: tuple[ModelFile, Path | None] | None = None
        """The model file that is open and the adapter on it; another object after each swap, None before ``start``."""
        self.holds = False
        """Another molt was promoted, but the person has not chosen yet: the one that speaks goes on."""
        self._token_counts: dict[str, int] = {}
        self._restarts: list[Notice] = []
        self._swap_seen = 0
        self._lock = threading.RLock()

    @property
    def engine(self) -> Engine:
        """The running engine. Errors: EngineError before ``start``."""
        if self._engine is None:
            raise EngineError("the engine was not started; this is a fault of the program")
        return self._engine

    @property
    def is_started(self) -> bool:
        return self._engine is not None

    @property
    def base_sha256(self) -> str:
        """The published file of the base model: the key of its molts; "" before ``start``."""
        return self.model.source_sha256 if self.model else ""

    @property
    def speaks(self) -> Molt | None:
        """The molt that speaks; None for the base."""
        return self._champion

    def start(self) -> list[Notice]:
        """Find the model and its verified champion and start the engine. Errors: ModelError, EngineError."""
        with self._lock:
            if self._engine is not None:
                return []
            model = resolve_model(self._home, self._settings.name)
            self._swap_seen = self._registry.changed_at()
            champion, why = self._registry.load_champion(model.source_sha256)
            self.running = running(champion, model, settled=self._settings.settle)
            self._engine = self._open_engine(*self.running)
            self.model, self.molt, self._champion = model, champion.number if champion else 0, champion
            return [Notice(why, "warning")] if why else []

    def swap_if_changed(self) -> list[Event]:
        """Load the champion if another was promoted since last time; a molt that does not load changes nothing."""
        with self._lock:
            changed = self._registry.changed_at()
            if (
                self.holds
                or self._engine is None
                or self.model is None
                or self.running is None
                or changed == self._swap_seen
            ):
                return []
            self._swap_seen = changed
            champion, why = self._registry.load_champion(self.base_sha256)
            events: list[Event] = [Notice(why, "warning")] if why else []
            old, new = self.molt, champion.number if champion else 0
            model, adapter = running(champion, self.model, settled=self._settings.settle)
            if new == old and (model.path, adapter) == (self.running[0].path, self.running[1]):
                return events
            try:
                if model.path == self.running[0].path:
                    self._engine.swap(adapter)
                else:
                    self._engine.move(model, adapter)
            except MoltingError as error:
                return [*events, Notice(f"molt {new} could not be loaded ({error}); molt {old} goes on", "warning")]
            self.running, self.molt, self._champion = (model, adapter), new, champion
            # A molt that only settled is the same one: nobody need be told.
            return events if new == old else [*events, Swapped(old, new)]

    @property
    def context_tokens(self) -> int:
        """Size of the window as loaded; waits for the model."""
        return self.engine.info.context_tokens

    @property
    def reply_tokens(self) -> int:
        """How much of the window is kept for a reply: as configured, but never more than half."""
        return min(self._settings.max_reply_tokens, self.context_tokens // 2)

    def count_tokens(self, text: str) -> int:
        """Length of a text in tokens; each text is counted once."""
        if text not in self._token_counts:
            self._token_counts[text] = sum(len(ids) for ids in self.engine.tokenize([Segment(text)]))
        return self._token_counts[text]

    def render(self, messages: Sequence[Message], prefix_messages: int) -> tuple[list[Segment], int]:
        """The prompt in the model's own template, and how many segments of it are the fixed prefix."""
        info = self.engine.info
        segments = render(info.chat_template, messages, end_tokens=info.end_tokens, bos_token=info.bos_token)
        return segments, prefix_length(segments, prefix_messages)

    def warm(self, system: str) -> None:
        """Evaluate, or restore from disk, the fixed beginning of every prompt."""
        segments, prefix_segments = self.render([Message("system", system), Message("user", "?")], 1)
        self.engine.warm(segments[:prefix_segments])

    def generate(self, segments: Sequence[Segment], prefix_segments: int) -> Iterator[Delta | Done]:
        """Stream a reply, drawn as configured. Errors: EngineError when the worker dies."""
        settings = self._settings
        return self.engine.generate(
            segments,
            max_tokens=self.reply_tokens,
            sampling=Sampling(
                settings.temperature, settings.top_k, settings.top_p, settings.min_p, settings.repeat_penalty
            ),
            prefix_segments=prefix_segments,
        )

    def cancel(self) -> None:
        """End the reply under way; from any thread."""
        if self._engine is not None:
            self._engine.cancel()

    def take_restarts(self) -> list[Notice]:
        """What the client said of a worker that died, each told once."""
        restarts, self._restarts = self._restarts, []
        return restarts

    def close(self) -> None:
        """End the engine's process; safe to call twice."""
        if self._engine is not None:
            self._engine.close()

    def _engine_client(self, model: ModelFile, adapter: Path | None) -> Engine:
        from molting_agent.runtime.client import EngineClient

        return EngineClient(
            model,
            home=self._home,
            adapter=adapter,
            context_tokens=self._settings.context_tokens,
            threads=self._settings.threads,
            shares_cores=self._settings.shares_cores,
            on_restart=lambda line: self._restarts.append(Notice(line, "warning")),
        )
