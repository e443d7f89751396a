"""What a model costs to have and to run: parameters, bytes, and floating-point operations for each token."""

from dataclasses import dataclass
from pathlib import Path

# Of the figures of the card: a full window of the runtime's default.
FLOPS_CONTEXT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Shape:
    """``multiplied`` counts the parameters that every token is multiplied by: all but a separate input embedding.

    ``attention_width`` is heads times their size.
    """

    parameters: int
    multiplied: int
    layers: int
    attention_width: int
    bytes: int


def shape_of(path: Path) -> Shape:
    """Counted from the tensors and metadata of a GGUF model; missing metadata count as 0."""
    from gguf import GGUFReader

    reader = GGUFReader(path)

    def number(key: str) -> int:
        field = reader.get_field(f"{architecture}.{key}")
        return int(field.contents()) if field is not None and not isinstance(field.contents(), list) else 0

    named = reader.get_field("general.architecture")
    architecture = str(named.contents()) if named is not None else ""
    sizes = {tensor.name: int(tensor.n_elements) for tensor in reader.tensors}
    total = sum(sizes.values())
    # A tied embedding is the output projection as well; a separate one is only looked up.
    looked_up = sizes.get("token_embd.weight", 0) if "output.weight" in sizes else 0
    heads = number("attention.head_count")
    key_length = number("attention.key_length") or (number("embedding_length") // heads if heads else 0)
    return Shape(total, total - looked_up, number("block_count"), heads * key_length, path.stat().st_size)


def adapter_parameters(path: Path) -> int:
    """The numbers in a LoRA adapter."""
    from gguf import GGUFReader

    return sum(int(tensor.n_elements) for tensor in GGUFReader(path).tensors)


def flops_per_token(shape: Shape, adapter: int = 0, context_tokens: int = FLOPS_CONTEXT_TOKENS) -> int:
    """Operations to produce one token after ``context_tokens`` others.

    2 for each parameter that is multiplied (the adapter's too, while it is not merged), and for attention 2 for the
    scores and 2 for the weighted values of each earlier token, layer and channel (Hoffmann et al. 2022, appendix F).
    """
    return 2 * (shape.multiplied + adapter) + 4 * shape.layers * shape.attention_width * context_tokens
