"""What the app says of a retraining: its state for the status line, and one line when it ended (pure)."""

import re

from distill.progress import EXIT_CANCELLED, EXIT_PROMOTED, EXIT_REJECTED, EXIT_TOO_LITTLE, Progress
from molting_agent.clean import clean_line
from molting_agent.ui.status_text import TrainingState


def training_state(progress: Progress | None, *, paused: bool, by_person: bool = False) -> TrainingState:
    """The status line's view of a progress; before the first one is written it only says that it starts."""
    if progress is None:
        return TrainingState("starting training", paused=paused, by_person=by_person)
    if progress.state != "training":
        return TrainingState(progress.state, paused=paused, by_person=by_person)
    fraction = progress.step / progress.steps if progress.steps else None
    return TrainingState("training", fraction, progress.losses, progress.eta_s, paused, by_person)


def ending(code: int, progress: Progress | None, last_words: str) -> tuple[str, str]:
    """The line for an exit code of the training child, and its severity (or ``swap``)."""
    message = sentence(clean_line(progress.message)) if progress else ""
    words = message or clean_line(last_words)
    number = f"Molt {progress.molt}" if progress and progress.molt else "The new molt"
    if code == EXIT_PROMOTED:
        return f"{number} passed the gate and was promoted. {message}".rstrip(), "swap"
    if code == EXIT_REJECTED and "is pinned" in message:
        return f"{number}: {message}", "warning"
    if code == EXIT_REJECTED:
        return f"{number} did not pass the gate; the champion stays. {message} F3 shows its report.".replace(
            "  ", " "
        ), ("warning")
    if code == EXIT_TOO_LITTLE:
        return words or "There is too little new to learn from.", "information"
    if code == EXIT_CANCELLED:
        return "The retraining stopped with a checkpoint; /retrain goes on from there.", "information"
    return f"The retraining failed: {words or f'exit code {code}'}", "error"


def sentence(message: str) -> str:
    """A message as a sentence after another: without the molt's number, said already, and with a full stop."""
    text = re.sub(r"^molt \d+: ", "", message)
    text = text[:1].upper() + text[1:]
    return text if not text or text[-1] in ".!?" else f"{text}."


def can_resume(progress: Progress | None) -> bool:
    """The last run was cut off after it had begun to train: cancelled, interrupted, or its process is gone."""
    return (
        progress is not None
        and progress.step > 0
        and (progress.working or progress.state in ("cancelled", "interrupted"))
    )
