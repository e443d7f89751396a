"""What teachers behind a network share: the key from the environment, privacy, and failures sorted by what helps."""

import email.utils
import os
import re
import time
from collections.abc import Mapping
from typing import Any

from distill.teachers.protocol import Prompt, Rejected, Unavailable
from distill.teachers.settings import Remote
from memory.errors import TrainingError, UsageError
from memory.labels import may_leave

LONGEST_MESSAGE = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
RETRIED = (408, 409, 425, 429)
# A 429 that no waiting mends: the account has no money left.
NO_QUOTA = ("insufficient_quota", "billing_hard_limit_reached")


def key_of(name: str, settings: Remote) -> str:
    """The key from the environment variable that the settings name; "" where none is wanted. Errors: UsageError."""
    variable = settings.key_env
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"teacher {name}: set the environment variable {variable} to the key, then run this again")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UsageError(f"teacher {name}: what stands in {variable} is no key (it holds spaces or odd characters)")
    return key


def refuse_private(name: str, prompt: Prompt) -> None:
    """The last gate before anything is sent; the collecting leaves private questions out before it comes to this."""
    if not may_leave(prompt.question.label):
        raise TrainingError(f"teacher {name}: a private turn never leaves this machine; ask a local teacher instead")


def failure_of(error: Exception, name: str, settings: Remote, key: str) -> Exception:
    """What a failed request means, by the status code of the SDK's error: tried again, passed over, or the end.

    Unavailable: 408, 409, 425, 429, 5xx, time-outs, broken connections, unreadable bodies. Rejected: 400, 413, 422.
    TrainingError: all others, with what to mend.
    """
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or status < 300:
        return Unavailable(f"no readable answer ({_clean(str(error) or type(error).__name__, key)})")
    body = getattr(error, "body", None)
    said = f"{status}: {_clean(_message(body) or str(error), key)}"
    if status in RETRIED or status >= 500:
        if _code(body) in NO_QUOTA:
            return TrainingError(f"teacher {name}: no credit left ({said}); add some, then run this again")
        headers = getattr(getattr(error, "response", None), "headers", {})
        return Unavailable(said, retry_after_s(headers))
    where = f"{settings.model} at {settings.base_url}"
    match status:
        case 400 | 413 | 422:
            return Rejected(said)
        case 401:
            mend = (
                f"set the environment variable {settings.key_env} to a valid key"
                if settings.key_env
                else "the server wants a key: name its environment variable with key_env"
            )
        case 403:
            mend = f"the key in {settings.key_env or 'key_env'} may not use {where}"
        case 404:
            mend = f"there is no {where}: check model and base_url in config.toml"
        case _:
            mend = f"check {where} in config.toml"
    return TrainingError(f"teacher {name}: {mend} ({said})")


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """The wait that the server asks for, in seconds: ``retry-after-ms``, or ``retry-after`` in seconds or as a date."""
    for name, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / divisor
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        moment = email.utils.parsedate_to_datetime(headers.get("retry-after", "")).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def _error_part(body: Any) -> Mapping[str, Any]:
    """The part that holds code and message: ``body["error"]`` as sent, or the body where the SDK has unwrapped it."""
    inner = body.get("error", body) if isinstance(body, Mapping) else {}
    return inner if isinstance(inner, Mapping) else {"message": inner}


def _message(body: Any) -> str:
    message = _error_part(body).get("message")
    return message if isinstance(message, str) else ""


def _code(body: Any) -> str:
    part = _error_part(body)
    return str(part.get("code") or part.get("type") or "")


def _clean(text: str, key: str) -> str:
    """Words of a server for one line of a terminal: short, without control characters, and without the key."""
    text = text.replace(key, "[key]") if key else text
    text = _CONTROL.sub(" ", text)
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"
