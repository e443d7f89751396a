"""What the status line says at which width (pure functions)."""

from dataclasses import dataclass

from textual.content import Content

from distill.progress import sparkline

BAR_CELLS = 5
SPARK_CELLS = 6
FULL_COLUMNS = 76
"""Below this the key hints and the memories are dropped."""
NARROW_COLUMNS = 52
"""Below this training is said in one word and a percentage."""
HINTS = (("F1", "help"), ("F2", "memory"), ("F3", "molts"))


@dataclass(frozen=True, slots=True)
class TrainingState:
    """A retraining as the status line shows it; ``fraction`` is 0..1, None while it cannot be said."""

    state: str
    fraction: float | None = None
    losses: tuple[float, ...] = ()
    eta_s: float = 0.0
    paused: bool = False
    by_person: bool = False
    """Paused by the person, not because he speaks."""


@dataclass(frozen=True, slots=True)
class StatusFields:
    """Everything the status line may show; zero and None are left out."""

    context_used: int = 0
    context_tokens: int = 0
    tokens_per_s: float = 0.0
    memories: int = 0
    training: TrainingState | None = None
    indexing: float | None = None
    """Which share of the new memories has its vector, while they are being embedded."""


def bar(fraction: float, cells: int = BAR_CELLS) -> str:
    """``▓▓▓░░``; a little is never drawn as nothing, nor almost full as full."""
    filled = round(fraction * cells)
    if 0 < fraction < 1:
        filled = min(max(filled, 1), cells - 1) if fraction < 0.95 else filled
    filled = min(max(filled, 0), cells)
    return "▓" * filled + "░" * (cells - filled)


def duration(seconds: float) -> str:
    """``45 s``, ``6 min``, ``1 h 20 min``."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def training_text(training: TrainingState, *, narrow: bool = False) -> str:
    """``training 62% ▂▃▅ 6 min left``, or the step it is in."""
    percent = f" {training.fraction:.0%}" if training.fraction is not None else ""
    if narrow:
        return f"molting{percent}" + (" paused" if training.paused else "")
    parts = [f"{training.state}{percent}"]
    if training.losses:
        parts.append(sparkline(training.losses, SPARK_CELLS))
    if training.paused:
        parts.append("paused" if training.by_person else "paused while he speaks")
    elif training.eta_s > 0:
        parts.append(f"{duration(training.eta_s)} left")
    return " ".join(parts)


def status_line(fields: StatusFields, width: int) -> Content:
    """One line of at most ``width`` columns; fields drop from the right at 76 and 52 columns, and when too long."""
    narrow = width < NARROW_COLUMNS
    left: list[Content] = []
    if fields.context_tokens:
        share = min(1.0, fields.context_used / fields.context_tokens)
        colour = "$warning" if share >= 0.8 else "$accent"
        left.append(Content.assemble(("ctx ", "$foreground-muted"), (bar(share), colour), f" {share:.0%}"))
    if fields.tokens_per_s:
        left.append(Content.assemble(f"{fields.tokens_per_s:.0f}", (" tok/s", "$foreground-muted")))
    if fields.training is not None:
        left.append(Content.styled(training_text(fields.training, narrow=narrow), "$primary"))
    if fields.indexing is not None and width >= FULL_COLUMNS:
        left.append(Content.styled(f"indexing {fields.indexing:.0%}", "$foreground-muted"))
    if fields.memories and width >= FULL_COLUMNS:
        words = "memory" if fields.memories == 1 else "memories"
        left.append(Content.assemble(f"{fields.memories}", (f" {words}", "$foreground-muted")))
    hints = Content("")
    if width >= FULL_COLUMNS:
        hints = Content("  ").join(
            [Content.assemble((key, "$primary"), (f" {word}", "$foreground-muted")) for key, word in HINTS]
        )
    gap = Content("   ")
    joined = gap.join(left)
    if hints and joined.cell_length + 3 + hints.cell_length > width:
        hints = Content("")
    while len(left) > 1 and joined.cell_length > width:
        left.pop()
        joined = gap.join(left)
    if not hints:
        return joined.truncate(width)
    return Content.assemble(joined, " " * (width - joined.cell_length - hints.cell_length), hints)
