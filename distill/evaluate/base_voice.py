"""The style classifier of a home, with the base model's replies that it needs: asked once, kept, and forgettable."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from distill.config import DistillConfig
from distill.evaluate.exam import Asked, Exam
from distill.evaluate.replies import answer
from distill.evaluate.style import Voice
from memory.files import write_atomic
from memory.home import Home
from molting_agent.runtime.protocol import Engine


def voice_of(
    engine: Engine, exam: Exam, config: DistillConfig, home: Home, on_item: Callable[[], None] = lambda: None
) -> Voice | None:
    """The classifier fitted on ``exam.learnt``; None where the training side holds fewer than two prompts.

    ``engine`` must be the base. What it says is kept in the home's cache by base, prompts and length, one reply at a
    time, so that an interrupted run asks nothing twice.
    """
    if len(exam.learnt) < 2:
        return None
    engine.swap(None)
    path = folder(home) / f"{_key(engine.info.model_sha256, exam, config)}.json"
    said = _read(path, exam.learnt)
    for asked in exam.learnt[len(said) :]:
        said.append(answer(engine, asked.messages, exam.system, max_tokens=config.judge_reply_tokens).text)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # forgetting may take it away meanwhile
        write_atomic(path, json.dumps(said, ensure_ascii=False))
        on_item()
    for other in path.parent.glob("*.json"):
        if other != path:  # of prompts that have changed since
            other.unlink(missing_ok=True)
    return Voice([asked.reply for asked in exam.learnt], said, seed=config.seed)


def folder(home: Home) -> Path:
    """Where the base's replies are kept. They may repeat the person's words."""
    return home.cache_dir / "base-replies"


def forget(home: Home) -> None:
    """Delete the base's replies: they are asked for again when a student is next judged."""
    shutil.rmtree(folder(home), ignore_errors=True)


def _key(model_sha256: str, exam: Exam, config: DistillConfig) -> str:
    asked = [asdict(item) for item in exam.learnt]
    return hashlib.sha256(
        json.dumps([model_sha256, exam.system, config.judge_reply_tokens, asked]).encode()
    ).hexdigest()


def _read(path: Path, learnt: Sequence[Asked]) -> list[str]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(text) for text in said][: len(learnt)] if isinstance(said, list) else []
