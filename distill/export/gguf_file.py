"""A GGUF model written from another's metadata and tokenizer, one tensor in memory at a time."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.errors import TrainingError
from memory.files import fsync_folder
from molting_agent.runtime.gguf_header import check_gguf

if TYPE_CHECKING:
    import numpy as np

# What the molt's files say of their origin; llama.cpp passes over keys it does not know.
BASE_KEY = "molting.base_sha256"
MOLT_KEY = "molting.molt"

Progress = Callable[[int, int], None]
"""Told how many of how many parts are done."""


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """A tensor that will be written: ``values()`` gives it in float32 when its turn comes.

    Matrices are stored in f16; vectors (norms, biases) stay f32, as llama.cpp's own converter has it.
    """

    name: str
    shape: tuple[int, ...]
    values: Callable[[], "np.ndarray"]


def open_gguf(path: Path) -> Any:
    """The file's gguf.GGUFReader (memory-mapped). Errors: ModelError when it is missing, cut short or no GGUF."""
    import gguf

    check_gguf(path)
    return gguf.GGUFReader(path)


def metadata(reader: Any, key: str, default: Any = None) -> Any:
    """One value of a file's metadata."""
    field = reader.get_field(key)
    return default if field is None else field.contents()


def float_tensor(tensor: Any) -> "np.ndarray":
    """A tensor of a GGUF file in float32, dequantised where it is packed."""
    import gguf
    import numpy as np

    return np.asarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)


def write_model(
    base: Any,
    target: Path,
    plans: Sequence[TensorPlan],
    changes: Mapping[str, Any],
    *,
    on_part: Progress = lambda _done, _all: None,
) -> int:
    """Write ``plans`` with the metadata of ``base`` (``changes`` in their place) as an f16 GGUF; returns its bytes.

    Written aside, synced and renamed. Errors: TrainingError when a value does not fit into f16.
    """
    import gguf
    import numpy as np

    temporary = target.with_name(f".{target.name}.part")
    writer = gguf.GGUFWriter(temporary, arch=str(metadata(base, gguf.Keys.General.ARCHITECTURE)))
    try:
        _copy_metadata(base, writer, {**changes, gguf.Keys.General.FILE_TYPE: int(gguf.LlamaFileType.MOSTLY_F16)})
        for plan in plans:
            kind = np.dtype(np.float16 if len(plan.shape) > 1 else np.float32)
            size = int(np.prod(plan.shape)) * kind.itemsize
            writer.add_tensor_info(plan.name, plan.shape, kind, size)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for done, plan in enumerate(plans, 1):
            writer.write_tensor_data(_stored(plan))
            on_part(done, len(plans))
        writer.close()
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(target.parent)
    return target.stat().st_size


def _stored(plan: TensorPlan) -> "np.ndarray":
    import numpy as np

    values = plan.values()
    if values.shape != plan.shape:
        raise TrainingError(f"{plan.name} has shape {values.shape}, and the file says {plan.shape}; export it again")
    if values.ndim < 2:
        return np.ascontiguousarray(values, dtype=np.float32)
    limit = float(np.finfo(np.float16).max)
    if not np.isfinite(values).all() or float(np.abs(values).max()) > limit:
        raise TrainingError(f"{plan.name} holds values that f16 cannot (over {limit:.0f}, or NaN); train with less")
    return np.ascontiguousarray(values, dtype=np.float16)


def _copy_metadata(base: Any, writer: Any, changes: Mapping[str, Any]) -> None:
    """All key-value pairs of ``base`` with the changed ones replaced; new keys are text or whole numbers."""
    import gguf

    left = dict(changes)
    for field in base.fields.values():
        # The architecture is the writer's own, and GGUF.* are not stored; a quantiser sets its version itself.
        written = (gguf.Keys.General.ARCHITECTURE, gguf.Keys.General.QUANTIZATION_VERSION)
        if field.name in written or field.name.startswith("GGUF."):
            continue
        kind = field.types[0]
        sub_kind = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, left.pop(field.name, field.contents()), kind, sub_type=sub_kind)
    for key, value in left.items():
        kind = gguf.GGUFValueType.STRING if isinstance(value, str) else gguf.GGUFValueType.UINT32
        writer.add_key_value(key, value, kind)
