"""The Anthropic API as a teacher, through the official SDK: identity cached, thinking as rationale if wished."""

from typing import Any

from distill.teachers.protocol import Answer, Prompt, Stop, Traits, Unavailable
from distill.teachers.remote import failure_of, key_of, refuse_private
from distill.teachers.settings import AnthropicSettings
from memory.errors import UsageError

STOPS: dict[str, Stop] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "cut",
    "model_context_window_exceeded": "cut",
    "refusal": "refused",
}


def traits(name: str, settings: AnthropicSettings) -> Traits:
    """What is known of the teacher without a key. Errors: UsageError when its window holds no question."""
    thoughts = settings.thinking_tokens if settings.thinking == "enabled" else 0
    limit = settings.max_tokens + thoughts
    if limit >= settings.context_tokens:
        raise UsageError(f"teacher {name}: context_tokens must be more than its answer takes ({limit})")
    return Traits(
        name=name,
        kind=settings.kind,
        model=settings.model,
        remote=True,
        identity=settings.model_dump(
            include={"kind", "model", "base_url", "rationale", "max_tokens", "thinking", "thinking_tokens"}
        ),
        asks_rationale=settings.rationale and settings.thinking == "off",
        window_tokens=settings.context_tokens - limit,
        reply_tokens=limit,
        concurrency=settings.concurrency,
        retries=settings.retries,
        usd_per_million_in=settings.usd_per_million_in,
        usd_per_million_out=settings.usd_per_million_out,
    )


class AnthropicTeacher:
    """Claude. Retries are ours (``patience``), the SDK's are off, and so is its tracing. Errors: UsageError."""

    def __init__(self, name: str, settings: AnthropicSettings) -> None:
        import anthropic

        self.traits = traits(name, settings)
        self._settings = settings
        self._key = key_of(name, settings)
        self._client = anthropic.Anthropic(
            api_key=self._key,
            base_url=settings.base_url,
            timeout=settings.timeout_s,
            max_retries=0,
            open_telemetry=False,
            # A redirect would carry the conversation, and the key in its own header, to another host.
            http_client=anthropic.DefaultHttpxClient(follow_redirects=False, timeout=settings.timeout_s),
        )

    def ask(self, prompt: Prompt) -> Answer:
        """One request, not streamed: an answer comes whole or not at all. See ``Teacher.ask``."""
        refuse_private(self.traits.name, prompt)
        system, *messages = prompt.messages
        turns: Any = [{"role": m.role, "content": m.content} for m in messages]
        try:
            message = self._client.messages.create(
                model=self._settings.model,
                max_tokens=self.traits.reply_tokens,
                # The same bytes begin every request: the mark lets the provider keep their evaluated state.
                system=[{"type": "text", "text": system.content, "cache_control": {"type": "ephemeral"}}],
                messages=turns,
                **self._thinking(),
            )
        except Exception as error:
            raise failure_of(error, self.traits.name, self._settings, self._key) from None
        return _answer(message)

    def _thinking(self) -> dict[str, Any]:
        if self._settings.thinking == "enabled":
            thinking = {"type": "enabled", "budget_tokens": self._settings.thinking_tokens, "display": "summarized"}
            return {"thinking": thinking}
        if self._settings.thinking == "adaptive":
            return {"thinking": {"type": "adaptive", "display": "summarized"}}
        return {}

    def close(self) -> None:
        self._client.close()


def _answer(message: Any) -> Answer:
    """The blocks of a message as text and thinking. Raises Unavailable when the body is no message (a proxy's page)."""
    blocks = getattr(message, "content", None)
    if not isinstance(blocks, list) or getattr(message, "stop_reason", None) is None:
        raise Unavailable("the answer is no message")
    usage = message.usage
    cached = getattr(usage, "cache_read_input_tokens", None) or 0
    written = getattr(usage, "cache_creation_input_tokens", None) or 0
    return Answer(
        text="".join(str(block.text) for block in blocks if block.type == "text"),
        thinking="\n\n".join(str(block.thinking) for block in blocks if block.type == "thinking" and block.thinking),
        stop=STOPS.get(message.stop_reason, "cut"),
        tokens_in=(getattr(usage, "input_tokens", None) or 0) + cached + written,
        tokens_out=getattr(usage, "output_tokens", None) or 0,
        cached_tokens=cached,
    )
