"""A local GGUF model as a teacher, through our own runtime: free, and allowed to see what is private."""

import threading
from pathlib import Path

from distill.teachers.protocol import Answer, Prompt, Stop, Stopped, Traits
from distill.teachers.settings import GgufSettings
from memory.errors import UsageError
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import ModelFile, check_gguf, resolve_model
from molting_agent.runtime.protocol import Done, Sampling
from molting_agent.runtime.template import prefix_length, render

STOPS: dict[str, Stop] = {"stop": "stop", "length": "cut", "cancelled": "cut"}
# Estimates are made with the embedded tokenizer; another vocabulary may need more tokens for the same words.
SPARE = 0.1


class GgufTeacher:
    """One worker process with one model; one question at a time. Errors: ModelError, EngineError, UsageError."""

    def __init__(self, name: str, settings: GgufSettings, home: Home, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        model = resolve_model(home, settings.model)
        adapter = Path(settings.adapter).expanduser() if settings.adapter else None
        self._engine = open_engine(name, model, adapter, home, settings.context_tokens, settings.threads)
        try:
            self._info = self._engine.info
            window = int((self._info.context_tokens - settings.max_tokens) * (1 - SPARE))
            if window <= 0:
                raise UsageError(
                    f"teacher {name}: max_tokens {settings.max_tokens} leaves no room for a question in its window of "
                    f"{self._info.context_tokens} tokens; lower it"
                )
        except BaseException:
            self._engine.close()
            raise
        self.traits = Traits(
            name=name,
            kind=settings.kind,
            model=model.name,
            remote=False,
            identity={
                **settings.model_dump(include={"kind", "rationale", "max_tokens", "temperature", "seed"}),
                "sha256": model.source_sha256,
                **({"adapter_sha256": self._info.adapter_sha256} if adapter else {}),
            },
            asks_rationale=settings.rationale,
            window_tokens=window,
            reply_tokens=settings.max_tokens,
        )

    def ask(self, prompt: Prompt) -> Answer:
        """Evaluate and draw; the state of the identity is kept for the next question. See ``Teacher.ask``."""
        segments = render(
            self._info.chat_template,
            prompt.messages,
            end_tokens=self._info.end_tokens,
            bos_token=self._info.bos_token,
        )
        sampling = Sampling(temperature=self._settings.temperature, seed=self._settings.seed)
        words: list[str] = []
        for event in self._engine.generate(
            segments, max_tokens=self._settings.max_tokens, sampling=sampling, prefix_segments=prefix_length(segments)
        ):
            if isinstance(event, Done):
                return Answer(
                    text="".join(words),
                    stop=STOPS[event.reason],
                    tokens_in=event.prompt_tokens,
                    tokens_out=event.reply_tokens,
                    cached_tokens=event.prompt_tokens - event.evaluated_tokens,
                )
            if self._stop.is_set():
                raise Stopped
            words.append(event.text)
        raise AssertionError("unreachable: a generation ends with Done")

    def close(self) -> None:
        self._engine.close()


def open_engine(
    name: str, model: ModelFile, adapter: Path | None, home: Home, context_tokens: int, threads: int
) -> EngineClient:
    """A teacher's model in its own worker, with its adapter. Errors: UsageError where the adapter is none."""
    if adapter is not None:
        if not adapter.is_file():
            raise UsageError(f"teacher {name}: there is no adapter {adapter}; check it in config.toml")
        check_gguf(adapter)
    return EngineClient(model, home=home, adapter=adapter, context_tokens=context_tokens, threads=threads)
