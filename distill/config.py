"""The settings of a retraining: one dataclass, read from a TOML recipe and from ``--set key=value``."""

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from memory.errors import UsageError

RECIPES_DIR = Path(__file__).parent / "recipes"
DEFAULT_RECIPE = "sft"


@dataclass(frozen=True, slots=True)
class DistillConfig:
    """Every setting of a retraining; the defaults are what measured best on the embedded model (see LOG.md)."""

    lora_rank: int = 16
    """Rank of the adapter's matrices; 16 on all linear layers of a 135M model is 4.9 M parameters, 9.8 MB in f16."""
    lora_alpha: float = 32.0
    """The adapter's output is scaled by alpha / rank."""
    lora_dropout: float = 0.0
    """Share of the adapter's inputs dropped in training, 0 to 1; 0 also saves time."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    schedule: str = "cosine"
    """How the rate falls after warm-up: ``cosine``, ``linear`` or ``constant``."""
    warmup_share: float = 0.05
    """Share of all steps in which the rate rises from 0 to its peak."""
    weight_decay: float = 0.0
    """AdamW's weight decay on the adapter."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are shortened to it."""
    epochs: float = 3.0
    """How often each conversation is seen; fewer when ``--minutes`` does not suffice."""
    row_tokens: int = 2048
    """Tokens of one step: the system prompt once, then whole conversations. Costs about 2 MB of memory a token."""
    conversation_tokens: int = 1536
    """A longer conversation is divided between turns into several examples; a reply is never cut."""
    identity_share: float = 0.5
    """Share of the rows that carry the full identity as system prompt; the others carry ``short_system``."""
    short_system: str = "You are Cláudio."
    """The short system prompt, for the other rows and for the second held-out score."""
    precision: str = "auto"
    """``float32``, ``bfloat16``, or ``auto``: the faster one in a short timed probe."""
    threads: int = 0
    """CPU threads of the training; 0 leaves it to torch (one a core)."""
    checkpoint_s: float = 60.0
    """Seconds between checkpoints: at most this much work is lost by a kill."""
    heldout_share: float = 0.12
    """Share of the imported conversations, chosen by the hash of their id, that is kept for judging."""
    heldout_min: int = 8
    """Fewer held-out conversations than this are too few to judge by: the verdict is then ``inconclusive``."""
    heldout_max: int = 48
    """At most this many held-out conversations are scored, those with the smallest hashes."""
    own_heldout_from: int = 40
    """Own conversations all serve training until there are this many of them with approved or edited replies."""
    newest_share: float = 1 / 3
    """Share of the held-out conversations, the newest, that a dataset also reports apart."""
    min_reply_words: int = 2
    """A reply of fewer words is context, not a target; 1 lets one-word replies be learnt."""
    near_copy_jaccard: float = 0.85
    """Of two conversations whose three-word shingles are alike to this share, one is left out; 1: only equal ones."""
    reply_repeats: int = 1
    """In how many places the same words may be a target; further ones are context."""
    min_new: int = 2
    """New replies to learn from that a retraining needs."""
    bootstrap: int = 4000
    """Resamplings of the paired bootstrap."""
    general_questions: int = 0
    """How many of the general questions are asked, from the first; 0 asks all."""
    general_margin: float = 0.0
    """How far the general score may fall for certain: worse is when the whole 95 % interval lies below minus this."""
    seed: int = 17
    """Seed of the adapter's first weights, of the order of the data and of the bootstrap."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they stand in a manifest."""
        return asdict(self)


def load_config(recipe: str = "", settings: Sequence[str] = ()) -> DistillConfig:
    """The defaults, changed by a recipe (a name of ``recipes/`` or a TOML file), then by ``key=value`` settings.

    Errors: UsageError that names the recipe or the setting.
    """
    path = Path(recipe) if recipe.endswith(".toml") else RECIPES_DIR / f"{recipe or DEFAULT_RECIPE}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        known = ", ".join(sorted(found.stem for found in RECIPES_DIR.glob("*.toml")))
        raise UsageError(f"there is no recipe {recipe or path}; there are: {known}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    config = from_dict(values, where=str(path))
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: write it as key=value")
        config = replace(config, **{key: _value(key, text, where=f"--set {setting}")})
    return check(config)


def from_dict(values: dict[str, Any], *, where: str = "config") -> DistillConfig:
    """A config from plain values; unknown keys are an error. Errors: UsageError."""
    return check(DistillConfig(**{key: _value(key, value, where=where) for key, value in values.items()}))


def check(config: DistillConfig) -> DistillConfig:
    """The config itself if its values make sense. Errors: UsageError."""
    rules = {
        "lora_rank": 1 <= config.lora_rank <= 512,
        "lora_dropout": 0 <= config.lora_dropout < 1,
        "learning_rate": 0 < config.learning_rate < 1,
        "schedule": config.schedule in ("cosine", "linear", "constant"),
        "warmup_share": 0 <= config.warmup_share < 1,
        "epochs": 0 < config.epochs <= 100,
        "row_tokens": config.row_tokens >= 64,
        "conversation_tokens": config.conversation_tokens >= 32,
        "identity_share": 0 <= config.identity_share <= 1,
        "precision": config.precision in ("auto", "float32", "bfloat16"),
        "heldout_share": 0 < config.heldout_share < 1,
        "newest_share": 0 <= config.newest_share <= 1,
        "min_reply_words": config.min_reply_words >= 0,
        "near_copy_jaccard": 0.3 <= config.near_copy_jaccard <= 1,
        "reply_repeats": config.reply_repeats >= 1,
        "min_new": config.min_new >= 1,
        "bootstrap": config.bootstrap >= 100,
    }
    for name, holds in rules.items():
        if not holds:
            raise UsageError(f"{name} = {getattr(config, name)!r} makes no sense; see distill/config.py")
    return config


def _value(key: str, value: Any, *, where: str) -> Any:
    kinds = {field.name: field.type for field in fields(DistillConfig)}
    if key not in kinds:
        raise UsageError(f"{where}: there is no setting {key!r}; there are: {', '.join(kinds)}")
    kind = kinds[key]
    try:
        if kind is int:
            return int(value)
        return float(value) if kind is float else str(value)
    except (TypeError, ValueError):
        raise UsageError(f"{where}: {key} is {getattr(kind, '__name__', kind)}, not {value!r}") from None
