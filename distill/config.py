"""The settings of a retraining: one dataclass, read from a TOML recipe and from ``--set key=value``."""

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from memory.errors import UsageError

RECIPES_DIR = Path(__file__).parent / "recipes"
DEFAULT_RECIPE = "sft"
DIVERGENCES = (
    "forward_kl",
    "reverse_kl",
    "jensen_shannon",
    "skew_forward_kl",
    "skew_reverse_kl",
    "total_variation",
)


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
    data_share: float = 1.0
    """Share of the conversations learnt from, by their hash: a larger one holds the smaller (learning curves)."""
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
    """New replies to learn from that a retraining needs; 0: what is known already may be learnt again."""
    bootstrap: int = 4000
    """Resamplings of the paired bootstrap."""
    general_questions: int = 360
    """How many of the general questions are asked, from the first; 0 asks all. They are mixed by subject: 360 are 20 of
    each. One costs 0.25 s of one core with the embedded model."""
    facts_questions: int = 48
    """How many of the 265 questions of the facts exam are asked, with recall and without it; 0 leaves them out."""
    general_margin: float = 0.0
    """How far the general score may fall for certain: worse is when the whole 95 % interval lies below minus this."""
    seed: int = 17
    """Seed of the adapter's first weights, of the order of the data and of the bootstrap."""
    teacher: str = ""
    """Who gives soft targets: ``self``, or the name of a ``[teachers]`` table; empty: the replies alone teach."""
    hard_weight: float = 1.0
    """Weight a of the cross-entropy of the reply as it stands; with noisy data take it down and ``soft_weight`` up."""
    soft_weight: float = 0.0
    """Weight b of T^2 times the divergence from the teacher's distribution; a = b = 0.5 is the common choice."""
    divergence: str = "forward_kl"
    """``forward_kl``, ``reverse_kl`` (MiniLLM), ``jensen_shannon`` (GKD), ``skew_forward_kl`` and ``skew_reverse_kl``
    (DistiLLM), or ``total_variation``."""
    skew: float = 0.1
    """How much of one side is mixed into the other by the skew divergences."""
    temperature: float = 1.0
    """Temperature T of both distributions at the first step, 1 to 5."""
    temperature_end: float = 1.0
    """Temperature at the last step, where the schedule is not ``constant``."""
    temperature_schedule: str = "constant"
    """How the temperature goes from first to last: ``constant``, ``linear`` or ``cosine`` (annealing)."""
    confidence: str = "off"
    """Where the teacher doubts the label, weight moves from the soft to the hard loss: ``off``, ``threshold``,
    ``smooth``."""
    confidence_threshold: float = 0.5
    """The teacher's probability of the label below which it doubts."""
    confidence_boost: float = 0.5
    """Share of the soft weight that moves."""
    likelihood_weight: float = 0.0
    """Weight of likelihood matching, for a teacher of another vocabulary (then ``soft_weight`` has no effect)."""
    likelihood_temperature: float = 100.0
    """Its temperature: pieces of several tokens are unlikely, so it is large."""
    rationale: str = "off"
    """Logged and taught reasons as targets: ``off``, ``two-task`` (answer, and explain when asked), or ``think`` (the
    reasons before the reply)."""
    explain_weight: float = 1.0
    """Weight of the explaining task in ``two-task``."""
    layer_teacher: str = ""
    """Whose layers are matched: ``base`` (the student's own base), or a model's name or path. Needed by the three
    weights below."""
    layer_map: str = "middle"
    """Which layers: ``uniform``, ``last``, ``middle`` (each but the first with a count, ``last:2``), or pairs teacher
    first, such as ``L6-L3, L12-L6``."""
    hidden_weight: float = 0.0
    """Weight of the distance between hidden states of matched layers (FitNets)."""
    hidden_loss: str = "cosine"
    """``cosine`` (direction) or ``l2``."""
    attention_weight: float = 0.0
    """Weight of the squared difference of attention scores (TinyBERT); both need the same number of heads."""
    value_relation_weight: float = 0.0
    """Weight of the divergence of value relations (MiniLM); any widths and head counts."""
    anchor_weight: float = 0.0
    """Weight of the divergence from the untrained base on the same replies, against forgetting."""
    taught: str = ""
    """Names of teachers, separated by commas, whose replies (``python -m distill teach``) are learnt too."""
    taught_share: float = 1.0
    """Share of those replies that is used, chosen by hash."""
    older_share: float = 1.0
    """Share of the conversations that the champion has learnt already which is learnt again, chosen by hash."""
    memory_share: float = 0.0
    """Share of the training questions that carry memories as recall finds them now (RAFT, arXiv 2403.10131)."""
    memory_k: int = 5
    """At most so many memories with such a question, as ``[memory] k`` has it."""
    memory_tokens: int = 400
    """And at most so many tokens of them, as ``[memory] budget_tokens`` has it."""
    reading_share: float = 1.5
    """Lessons in reading memories, made up anew in each epoch, for each conversation that is learnt."""
    quote_share: float = 0.0
    """Share of the lessons' answers that are the note itself, word for word; the others are the answer alone."""
    twin: bool = True
    """Train the hard-label twin (same data, steps and seed) whenever another loss is used, and keep the better."""
    student: str = "adapter"
    """What is trained: ``adapter`` (LoRA on the base) or ``whole`` (all weights, for small models; a whole GGUF comes
    out, and the optimizer holds two numbers more for each weight)."""
    start: str = "base"
    """Where an adapter begins: ``base`` (fresh), ``champion`` or a molt by its number: it learns on, in few steps."""
    keep_layers: int = 0
    """Cut the student to so many of the base's layers, evenly spaced, first and last kept (DistilBERT); 0 keeps all."""
    checkpoint: str = ""
    """A transformers checkpoint (folder, or name on the hub) of the same base as the GGUF, to train on in its place."""
    quantization: str = "none"
    """How a checkpoint's frozen weights are held: ``none``, or ``nf4`` (QLoRA: 4 bits with double quantisation)."""
    optimizer: str = "adamw"
    """``adamw``, or ``paged_adamw_8bit`` (bitsandbytes, CUDA only: 2 bytes a weight in place of 8)."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: a third more time for a fraction of the memory."""

    preference_epochs: float = 0.0
    """How often each preference pair is seen after the replies are learnt (DPO, arXiv 2305.18290); 0: not at all."""
    preference_beta: float = 0.1
    """How tightly DPO holds the student to what it was before the pairs: larger is tighter."""
    preference_learning_rate: float = 1e-4
    """Peak learning rate while pairs are learnt."""
    preference_sft_weight: float = 1.0
    """Weight of the cross-entropy of the chosen reply beside it (RPO, arXiv 2404.19733), so that it gets no rarer."""
    preference_min_pairs: int = 8
    """With fewer pairs than this the replies alone are learnt."""
    judge_replies: int = 24
    """How many replies to held-out prompts each judged side writes, for style, overlap and faults."""
    judge_reply_tokens: int = 64
    """At most so many tokens each."""
    judge_pairs: int = 32
    """How many of the newest replies that the person turned down or edited are compared with those that were wanted."""
    style_prompts: int = 48
    """How many training prompts the base answers, once, to fit the classifier of the teacher's style."""
    mistake_margin: float = 0.02
    """How far a turned-down reply may come nearer to the wanted one, in bits per byte, with the whole 95 % interval."""
    on_policy_teacher: str = ""
    """Who judges the student's own replies after the other lessons: a model of its vocabulary, by name or path."""
    on_policy_steps: int = 0
    """Steps of that; each writes replies token by token, so it wants a GPU. 0: none."""
    on_policy_batch: int = 8
    """Questions answered in a step."""
    on_policy_tokens: int = 128
    """At most so many tokens a reply."""
    on_policy_beta: float = 1.0
    """Divergence from the teacher: 1 reverse KL, 0 forward KL, between them generalised Jensen-Shannon (GKD)."""
    on_policy_learning_rate: float = 1e-4
    """Peak learning rate of these steps."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they stand in a manifest."""
        return asdict(self)

    @property
    def uses_layers(self) -> bool:
        """Whether a teacher's layers are matched."""
        return self.hidden_weight > 0 or self.attention_weight > 0 or self.value_relation_weight > 0

    @property
    def soft(self) -> bool:
        """Whether anything but the hard labels shapes the loss, so that the hard-label twin is another model."""
        matched = self.soft_weight > 0 or self.likelihood_weight > 0 or self.uses_layers
        later = self.preference_epochs > 0 or self.on_policy_steps > 0
        return matched or later or self.anchor_weight > 0 or self.rationale != "off"

    def hard_label_twin(self) -> "DistillConfig":
        """The same training on the replies as they stand, nothing else."""
        return replace(
            self,
            teacher="",
            hard_weight=1.0,
            soft_weight=0.0,
            likelihood_weight=0.0,
            rationale="off",
            layer_teacher="",
            hidden_weight=0.0,
            attention_weight=0.0,
            value_relation_weight=0.0,
            anchor_weight=0.0,
            preference_epochs=0.0,
            on_policy_teacher="",
            on_policy_steps=0,
        )


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
    # Checked once all settings are in: a recipe may leave its teacher to be named.
    config = _from_values(values, where=str(path))
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: write it as key=value")
        config = replace(config, **{key: _value(key, text, where=f"--set {setting}")})
    return check(config)


def from_dict(values: dict[str, Any], *, where: str = "config") -> DistillConfig:
    """A config from plain values; unknown keys are an error. Errors: UsageError."""
    return check(_from_values(values, where=where))


def _from_values(values: dict[str, Any], *, where: str) -> DistillConfig:
    return DistillConfig(**{key: _value(key, value, where=where) for key, value in values.items()})


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
        "data_share": 0 < config.data_share <= 1,
        "newest_share": 0 <= config.newest_share <= 1,
        "min_reply_words": config.min_reply_words >= 0,
        "near_copy_jaccard": 0.3 <= config.near_copy_jaccard <= 1,
        "reply_repeats": config.reply_repeats >= 1,
        "min_new": config.min_new >= 0,
        "bootstrap": config.bootstrap >= 100,
        "general_questions": config.general_questions >= 0,
        "facts_questions": config.facts_questions >= 0,
        "judge_replies": 0 <= config.judge_replies <= 1000,
        "judge_reply_tokens": 8 <= config.judge_reply_tokens <= 1024,
        "judge_pairs": config.judge_pairs >= 0,
        "style_prompts": config.style_prompts >= 0,
        "mistake_margin": config.mistake_margin >= 0,
        "hard_weight": config.hard_weight >= 0,
        "soft_weight": config.soft_weight >= 0,
        "divergence": config.divergence in DIVERGENCES,
        "skew": 0 <= config.skew < 1,
        "temperature": 0.1 <= config.temperature <= 20,
        "temperature_end": 0.1 <= config.temperature_end <= 20,
        "temperature_schedule": config.temperature_schedule in ("constant", "linear", "cosine"),
        "confidence": config.confidence in ("off", "threshold", "smooth"),
        "confidence_threshold": 0 <= config.confidence_threshold <= 1,
        "confidence_boost": 0 <= config.confidence_boost <= 1,
        "likelihood_weight": config.likelihood_weight >= 0,
        "likelihood_temperature": config.likelihood_temperature >= 1,
        "rationale": config.rationale in ("off", "two-task", "think"),
        "explain_weight": config.explain_weight >= 0,
        "hidden_weight": config.hidden_weight >= 0,
        "hidden_loss": config.hidden_loss in ("cosine", "l2"),
        "attention_weight": config.attention_weight >= 0,
        "value_relation_weight": config.value_relation_weight >= 0,
        "anchor_weight": config.anchor_weight >= 0,
        "taught_share": 0 <= config.taught_share <= 1,
        "older_share": 0 <= config.older_share <= 1,
        "memory_share": 0 <= config.memory_share <= 1,
        "memory_k": config.memory_k >= 1,
        "memory_tokens": config.memory_tokens >= 32,
        "reading_share": 0 <= config.reading_share <= 20,
        "quote_share": 0 <= config.quote_share <= 1,
        "preference_epochs": 0 <= config.preference_epochs <= 100,
        "preference_beta": 0 < config.preference_beta <= 10,
        "preference_learning_rate": 0 < config.preference_learning_rate < 1,
        "preference_sft_weight": config.preference_sft_weight >= 0,
        "preference_min_pairs": config.preference_min_pairs >= 1,
        "student": config.student in ("adapter", "whole"),
        "start": config.start == "base"
        or (config.student == "adapter" and (config.start == "champion" or config.start.isdecimal())),
        "keep_layers": config.keep_layers == 0 or config.keep_layers >= 2,
        "quantization": config.quantization in ("none", "nf4"),
        "optimizer": config.optimizer in ("adamw", "paged_adamw_8bit"),
        "on_policy_steps": config.on_policy_steps >= 0,
        "on_policy_batch": config.on_policy_batch >= 1,
        "on_policy_tokens": config.on_policy_tokens >= 1,
        "on_policy_beta": 0 <= config.on_policy_beta <= 1,
        "on_policy_learning_rate": 0 < config.on_policy_learning_rate < 1,
    }
    for name, holds in rules.items():
        if not holds:
            raise UsageError(f"{name} = {getattr(config, name)!r} makes no sense; see distill/config.py")
    _together(config)
    return config


def _together(config: DistillConfig) -> None:
    """Settings that make sense only with one another. Errors: UsageError."""
    needs_teacher = config.soft_weight > 0 or config.likelihood_weight > 0
    if needs_teacher and not config.teacher:
        raise UsageError("soft_weight and likelihood_weight need a teacher: --set teacher=self, or a [teachers] table")
    if config.teacher and not needs_teacher:
        raise UsageError(f"the teacher {config.teacher} would teach nothing: set soft_weight or likelihood_weight")
    if not (config.hard_weight or needs_teacher):
        raise UsageError("hard_weight = 0 needs a teacher, or there is nothing to learn")
    if config.uses_layers and not config.layer_teacher:
        raise UsageError("hidden_weight, attention_weight and value_relation_weight need layer_teacher")
    if config.layer_teacher and not config.uses_layers:
        raise UsageError(f"layer_teacher {config.layer_teacher} would teach nothing: set one of the layer weights")
    if config.quantization != "none" and not config.checkpoint:
        raise UsageError("quantization needs a checkpoint: --set checkpoint=FOLDER (a GGUF is dequantised to train)")
    if config.student == "whole" and config.quantization != "none":
        raise UsageError("a whole student cannot be trained in 4 bits: set quantization=none or student=adapter")
    if bool(config.on_policy_steps) != bool(config.on_policy_teacher):
        raise UsageError("on_policy_steps and on_policy_teacher go together: set both, or none")
    if config.keep_layers and config.student != "whole":
        raise UsageError("a cut student has no base to be an adapter of: set student=whole with keep_layers")


def _value(key: str, value: Any, *, where: str) -> Any:
    kinds = {field.name: field.type for field in fields(DistillConfig)}
    if key not in kinds:
        raise UsageError(f"{where}: there is no setting {key!r}; there are: {', '.join(kinds)}")
    kind = kinds[key]
    try:
        if kind is bool:
            return _truth(value)
        if kind is int:
            return int(value)
        return float(value) if kind is float else str(value)
    except (TypeError, ValueError):
        raise UsageError(f"{where}: {key} is {getattr(kind, '__name__', kind)}, not {value!r}") from None


def _truth(value: Any) -> bool:
    """true and false as TOML and people write them. Raises ValueError."""
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).lower() not in words:
        raise ValueError(value)
    return words[str(value).lower()]
