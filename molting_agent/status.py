"""What a status line shows of the agent, as one value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Status:
    """What a status line shows; ``molt`` 0 is the base model, speed and memories are of the last reply."""

    model_name: str = ""
    molt: int = 0
    context_used: int = 0
    context_tokens: int = 0
    tokens_per_s: float = 0.0
    memories_shown: int = 0
