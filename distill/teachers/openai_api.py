"""Any server that speaks OpenAI's chat completions API as a teacher, through the official SDK."""

from typing import Any

from distill.teachers.protocol import Answer, Prompt, Stop, Traits, Unavailable
from distill.teachers.remote import failure_of, key_of, refuse_private
from distill.teachers.settings import OpenAISettings
from memory.errors import UsageError

STOPS: dict[str, Stop] = {"stop": "stop", "length": "cut", "content_filter": "refused"}
# Under these names servers show the thoughts of reasoning models; OpenAI's own API does not.
THOUGHTS = ("reasoning_content", "reasoning")


def traits(name: str, settings: OpenAISettings) -> Traits:
    """What is known of the teacher without a key. Errors: UsageError when its window holds no question."""
    if settings.max_tokens >= settings.context_tokens:
        raise UsageError(f"teacher {name}: context_tokens must be more than max_tokens ({settings.max_tokens})")
    return Traits(
        name=name,
        kind=settings.kind,
        model=settings.model,
        remote=True,
        identity=settings.model_dump(
            include={"kind", "model", "base_url", "rationale", "max_tokens", "temperature", "limit_field"}
        ),
        asks_rationale=settings.rationale,
        window_tokens=settings.context_tokens - settings.max_tokens,
        reply_tokens=settings.max_tokens,
        concurrency=settings.concurrency,
        retries=settings.retries,
        usd_per_million_in=settings.usd_per_million_in,
        usd_per_million_out=settings.usd_per_million_out,
    )


class OpenAITeacher:
    """A model behind a chat completions API, ours or anybody's. Retries are ours, the SDK's are off.

    It counts as remote even on this machine: what listens at a local port may well be a proxy. Errors: UsageError.
    """

    def __init__(self, name: str, settings: OpenAISettings) -> None:
        self.traits = traits(name, settings)
        self._settings = settings
        self._key = key_of(name, settings)
        self._client = open_client(settings, self._key)

    def ask(self, prompt: Prompt) -> Answer:
        """One request, not streamed: an answer comes whole or not at all. See ``Teacher.ask``."""
        refuse_private(self.traits.name, prompt)
        options: dict[str, Any] = {self._settings.limit_field: self._settings.max_tokens}
        if self._settings.temperature is not None:
            options["temperature"] = self._settings.temperature
        messages: Any = [{"role": m.role, "content": m.content} for m in prompt.messages]
        try:
            completion = self._client.chat.completions.create(
                model=self._settings.model, messages=messages, stream=False, **options
            )
        except Exception as error:
            raise failure_of(error, self.traits.name, self._settings, self._key) from None
        return _answer(completion)

    def close(self) -> None:
        self._client.close()


def open_client(settings: OpenAISettings, key: str) -> Any:
    """The official SDK's client for this server."""
    import openai

    return openai.OpenAI(
        # The SDK wants some key, and would else take that of OPENAI_API_KEY to a server it is not meant for.
        api_key=key or "none",
        base_url=settings.base_url,
        timeout=settings.timeout_s,
        max_retries=0,
        # A redirect would carry the conversation to another host.
        http_client=openai.DefaultHttpxClient(follow_redirects=False, timeout=settings.timeout_s),
    )


def _answer(completion: Any) -> Answer:
    """The first choice. Raises Unavailable when the body is no completion (a proxy's page, an error under 200)."""
    choices = getattr(completion, "choices", None)
    choice: Any = choices[0] if isinstance(choices, list) and choices else None
    message: Any = getattr(choice, "message", None)
    if message is None or getattr(choice, "finish_reason", None) is None:
        raise Unavailable("the answer is no chat completion")
    usage = getattr(completion, "usage", None)
    details = getattr(usage, "prompt_tokens_details", None)
    thoughts = [getattr(message, name, None) for name in THOUGHTS]
    return Answer(
        text=message.content or "",
        thinking=next((text for text in thoughts if isinstance(text, str) and text), ""),
        stop="refused" if getattr(message, "refusal", None) else STOPS.get(choice.finish_reason, "cut"),
        tokens_in=getattr(usage, "prompt_tokens", None) or 0,
        tokens_out=getattr(usage, "completion_tokens", None) or 0,
        cached_tokens=getattr(details, "cached_tokens", None) or 0,
    )
