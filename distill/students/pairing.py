"""Whether a transformers checkpoint and a GGUF are of one base: by shapes, tokens, rendered prompt and norm weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.export.adapter import gguf_architecture
from distill.export.gguf_file import float_tensor, metadata, open_gguf
from memory.errors import ModelError, TrainingError
from molting_agent.runtime.template import Message, render

SAMPLED_TOKENS = 512
UNUSED_TOKEN = 5  # gguf.TokenType.UNUSED: what a converter fills the vocabulary up with
# bfloat16 keeps 8 bits of a weight; the norms of two trainings differ by far more.
NORM_TOLERANCE = 0.01
TALK = (Message("system", "S"), Message("user", "U"), Message("assistant", "A"), Message("user", "V"))

# What must be equal: words for a person, transformers' name, GGUF's key under the architecture.
NUMBERS = (
    ("layers", "num_hidden_layers", "block_count"),
    ("width", "hidden_size", "embedding_length"),
    ("feed-forward width", "intermediate_size", "feed_forward_length"),
    ("heads", "num_attention_heads", "attention.head_count"),
    ("key-value heads", "num_key_value_heads", "attention.head_count_kv"),
    ("norm epsilon", "rms_norm_eps", "attention.layer_norm_rms_epsilon"),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What two files of one base share; ``tokens`` are some of the vocabulary by id, ``prompt`` a rendered talk."""

    architecture: str
    numbers: Mapping[str, float]
    tokens: Mapping[int, str]
    prompt: str


def differences(checkpoint: Facts, gguf: Facts) -> list[str]:
    """What tells the two apart, each as ``words: the checkpoint's and the GGUF's``; [] for a pair.

    A number that only one of them gives is not compared, nor is a token that only one of them samples.
    """
    found = []
    if checkpoint.architecture != gguf.architecture:
        found.append(f"architecture: {checkpoint.architecture} and {gguf.architecture}")
    for words in checkpoint.numbers.keys() & gguf.numbers.keys():
        ours, theirs = checkpoint.numbers[words], gguf.numbers[words]
        if abs(ours - theirs) > 1e-5 * max(abs(ours), abs(theirs)):
            found.append(f"{words}: {ours:,.10g} and {theirs:,.10g}")
    other = [i for i in sorted(checkpoint.tokens.keys() & gguf.tokens.keys()) if checkpoint.tokens[i] != gguf.tokens[i]]
    if other:
        first = other[0]
        found.append(
            f"token {first}: {checkpoint.tokens[first]!r} and {gguf.tokens[first]!r} ({len(other)} of the sampled)"
        )
    if not found and checkpoint.prompt != gguf.prompt:
        found.append(f"chat template: {_around(checkpoint.prompt, gguf.prompt)}")
    return sorted(found)


def check_pair(checkpoint: str, gguf: Path) -> None:
    """Return if the two are of one base, as far as configuration and tokenizer say.

    ``checkpoint`` is a folder or a name on the hub. Errors: TrainingError that names each difference, or the file that
    cannot be read.
    """
    try:
        theirs = facts_of_gguf(gguf)
    except ModelError as error:
        raise TrainingError(str(error)) from None
    ours = facts_of_checkpoint(checkpoint, theirs.tokens)
    if found := differences(ours, theirs):
        raise TrainingError(
            f"{checkpoint} and {gguf.name} are not of one base ({'; '.join(found)}); "
            "give a checkpoint and a GGUF of the same model: --set checkpoint=FOLDER --model GGUF"
        )


def check_weights(model: Any, checkpoint: str, gguf: Path) -> None:
    """Return if the norm weights of a loaded causal model are those of the GGUF, which holds them in full.

    It tells models of one shape and vocabulary apart, such as a base and its instruction-tuned form: an adapter of one
    makes nonsense of the other. Errors: TrainingError.
    """
    import torch

    tensors = {tensor.name: tensor for tensor in open_gguf(gguf).tensors}
    body = model.model
    for name, norm in (
        ("output_norm.weight", body.norm),
        ("blk.0.attn_norm.weight", body.layers[0].input_layernorm),
    ):
        ours_H = norm.weight.detach().float().cpu()
        theirs_H = torch.tensor(float_tensor(tensors[name]))
        apart = float((ours_H - theirs_H).norm() / theirs_H.norm())
        if apart > NORM_TOLERANCE:
            raise TrainingError(
                f"{checkpoint} and {gguf.name} have one shape but other weights ({name} differs by {apart:.0%}): is "
                "one of them the instruction-tuned form? Give both of the same model: --set checkpoint=FOLDER"
            )


def facts_of_gguf(path: Path) -> Facts:
    """The facts of a model file. Errors: ModelError when it is damaged."""
    reader = open_gguf(path)
    architecture = str(metadata(reader, "general.architecture"))
    found = {words: metadata(reader, f"{architecture}.{key}") for words, _attribute, key in NUMBERS}
    found["rope base"] = metadata(reader, f"{architecture}.rope.freq_base")
    found["vocabulary"] = next(int(t.shape[1]) for t in reader.tensors if t.name == "token_embd.weight")
    field = reader.fields["tokenizer.ggml.tokens"]
    kinds = reader.fields.get("tokenizer.ggml.token_type")
    step = max(1, len(field.data) // SAMPLED_TOKENS)
    sampled = {
        i: field.contents(i)
        for i in range(0, len(field.data), step)
        if kinds is None or kinds.contents(i) != UNUSED_TOKEN
    }
    template = str(metadata(reader, "tokenizer.chat_template", ""))
    numbers = {words: float(value) for words, value in found.items() if isinstance(value, int | float)}
    return Facts(architecture, numbers, sampled, rendered(template))


def facts_of_checkpoint(checkpoint: str, ids: Mapping[int, str] | Sequence[int]) -> Facts:
    """The facts of a checkpoint, with the tokens of these ids. Errors: TrainingError when a file of it is missing."""
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(checkpoint)
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    except (OSError, ValueError, KeyError) as error:
        why = str(error).strip().partition("\n")[0]
        raise TrainingError(
            f"{checkpoint}: no checkpoint that transformers loads ({why}); give the folder that has config.json and "
            "the tokenizer, or its name on the hub: --set checkpoint=…"
        ) from None
    found = {words: getattr(config, attribute, None) for words, attribute, _key in NUMBERS}
    found["rope base"] = (getattr(config, "rope_parameters", None) or {}).get("rope_theta")
    found["vocabulary"] = config.vocab_size
    tokens = {i: tokenizer.convert_ids_to_tokens(i) or "" for i in ids if i < len(tokenizer)}
    numbers = {words: float(value) for words, value in found.items() if value is not None}
    template = tokenizer.chat_template
    return Facts(
        gguf_architecture(config.model_type), numbers, tokens, rendered(template if isinstance(template, str) else "")
    )


def rendered(template: str) -> str:
    """A short talk in a chat template; the template itself where it needs more than the runtime gives it."""
    if not template:
        return ""
    try:
        segments = render(template, TALK, end_tokens=["<end>"], bos_token="<bos>")  # noqa: S106 - a token's name
        return "".join(segment.text for segment in segments)
    except ModelError:
        return template.strip()


def _around(ours: str, theirs: str) -> str:
    """Both texts where they begin to differ."""
    if not ours or not theirs:
        return f"only {'the checkpoint' if ours else 'the GGUF'} has one"
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    start = max(0, at - 10)
    return f"{ours[start : at + 20]!r} and {theirs[start : at + 20]!r}"
