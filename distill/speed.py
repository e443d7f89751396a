"""How fast this machine trains and judges, remembered from the last run so that a plan needs no probe."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from memory.files import write_atomic

FILE_NAME = "speed.json"
# Before the first run: two cores without bfloat16, SmolLM2-135M (see LOG.md).
GUESS_TOKENS_PER_S = 180.0
GUESS_JUDGE_S_AN_ITEM = 0.25


@dataclass(frozen=True, slots=True)
class Speed:
    """Training tokens a second, prompts included; seconds a judged item; ``measured`` is False for the guess."""

    train_tokens_per_s: float = GUESS_TOKENS_PER_S
    judge_s_an_item: float = GUESS_JUDGE_S_AN_ITEM
    measured: bool = False


def read_speed(training_dir: Path, base_sha256: str) -> Speed:
    """What was measured for this base; the guess when nothing was."""
    try:
        return Speed(**json.loads((training_dir / FILE_NAME).read_text())[base_sha256])
    except (OSError, ValueError, KeyError, TypeError):
        return Speed()


def keep_speed(training_dir: Path, base_sha256: str, speed: Speed) -> None:
    """Remember it for the next plan."""
    try:
        known = json.loads((training_dir / FILE_NAME).read_text())
    except (OSError, ValueError):
        known = {}
    write_atomic(training_dir / FILE_NAME, json.dumps({**known, base_sha256: asdict(speed)}))
