"""A LoRA adapter merged into its base: W + B A alpha / rank for each tensor, both as llama.cpp has them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.export.gguf_file import Progress, TensorPlan, float_tensor, metadata, open_gguf, write_model
from memory.errors import TrainingError

if TYPE_CHECKING:
    import numpy as np

SIDES = (".lora_a", ".lora_b")


def merge_adapter(
    base: Path,
    adapter: Path | None,
    target: Path,
    changes: dict[str, Any],
    *,
    on_part: Progress = lambda _done, _all: None,
) -> int:
    """Write the model of ``base`` with ``adapter`` merged in (None: the base alone) as f16 GGUF; returns its bytes.

    The base is the file that runs, dequantised: the weights that the adapter was trained on. Both files are in
    llama.cpp's order of rows, so nothing is permuted. Hu et al., LoRA (arXiv 2106.09685), section 4.1. Errors:
    TrainingError when the adapter has a tensor that the base lacks, or of another shape; ModelError for a broken file.
    """
    model = open_gguf(base)
    pairs, alpha = adapter_pairs(adapter) if adapter else ({}, 0.0)
    plans = []
    for tensor in model.tensors:
        a_RI, b_OR = pairs.pop(tensor.name, (None, None))
        shape = tuple(int(size) for size in reversed(tensor.shape))
        if a_RI is not None and b_OR is not None and shape != (b_OR.shape[0], a_RI.shape[1]):
            raise TrainingError(
                f"{adapter}: {tensor.name} is for {b_OR.shape[0]} x {a_RI.shape[1]}, and {base.name} has "
                f"{shape[0]} x {shape[-1]}; it belongs to another base: molt models use NAME"
            )
        plans.append(TensorPlan(tensor.name, shape, _merged(tensor, a_RI, b_OR, alpha)))
    if pairs:
        raise TrainingError(
            f"{adapter}: {base.name} has no {sorted(pairs)[0]}; it belongs to another base: molt models use NAME"
        )
    return write_model(model, target, plans, changes, on_part=on_part)


def adapter_pairs(path: Path) -> tuple[dict[str, tuple["np.ndarray", "np.ndarray"]], float]:
    """``{tensor name: (A, B)}`` of a GGUF adapter in its own number type, and its alpha (0: no scaling by rank).

    A is (rank, inputs), B (outputs, rank). Errors: TrainingError when it is no LoRA or a half of a pair is missing.
    """
    reader = open_gguf(path)
    if metadata(reader, "general.type") != "adapter" or metadata(reader, "adapter.type") != "lora":
        raise TrainingError(f"{path}: not a LoRA adapter; choose another molt: molt molts ls")
    found: dict[str, dict[str, Any]] = {}
    for tensor in reader.tensors:
        name, side = tensor.name[: -len(SIDES[0])], tensor.name[-len(SIDES[0]) :]
        if side not in SIDES:
            raise TrainingError(f"{path}: {tensor.name} is no half of a LoRA pair; choose another molt: molt molts ls")
        found.setdefault(name, {})[side] = tensor.data
    for name, halves in found.items():
        if len(halves) != len(SIDES):
            raise TrainingError(f"{path}: {name} lacks half of its LoRA pair; choose another molt: molt molts ls")
    return {name: (halves[SIDES[0]], halves[SIDES[1]]) for name, halves in found.items()}, float(
        metadata(reader, "adapter.lora.alpha", 0.0)
    )


def _merged(tensor: Any, a_RI: Any, b_OR: Any, alpha: float) -> Callable[[], "np.ndarray"]:
    def values() -> "np.ndarray":
        import numpy as np

        weight_OI = float_tensor(tensor)
        if a_RI is None:
            return weight_OI
        rank = a_RI.shape[0]
        scale = alpha / rank if alpha else 1.0  # as llama.cpp has it (llama-adapter.h, get_scale)
        return weight_OI + np.float32(scale) * (b_OR.astype(np.float32) @ a_RI.astype(np.float32))

    return values
