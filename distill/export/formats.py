"""One student in each format: made in a working folder, proved against the one that speaks, then put in its place."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill.export.agreement import Agreement, agreement
from distill.export.gguf_file import open_gguf
from distill.export.merge import merge_adapter
from distill.export.place import describe, need_space, put, working_folder
from distill.export.probe import Probe, probe
from distill.export.source import Source, target_of
from memory.errors import TrainingError
from molting_agent.runtime.models import requantise_file

# The least cosine of the logits with those of the student that speaks (the packed base with its adapter). Rounding
# alone, measured on SmolLM2-135M with its shipped molt: f16 0.9991, q8_0 0.9987, q4_k_m 0.985; the base without the
# molt 0.890.
LEAST_COSINE = {"f16": 0.995, "q8_0": 0.99, "q4_k_m": 0.96}
# The same weights in another library: what is left is the order of sums.
LEAST_COSINE_SAME = 0.999
# Bytes a weight of all that is on disk at once, the working copy in f16 included (q4_k_m falls back on odd shapes).
BYTES_A_WEIGHT = {"f16": 2.0, "q8_0": 3.1, "q4_k_m": 2.9, "hf": 4.1, "onnx": 8.2}

Report = Callable[[str, float], None]
"""Told what is being done and how much of it, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written and how well it agrees; ``files`` are ``{name: (sha256, bytes)}``."""

    kind: str
    quant: str
    path: Path
    base: str
    base_path: Path
    molt: int
    files: dict[str, tuple[str, int]]
    checks: dict[str, Agreement] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(size for _digest, size in self.files.values())

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "format": self.kind,
            "quant": self.quant,
            "path": str(self.path),
            "bytes": self.bytes,
            "files": {name: {"sha256": digest, "bytes": size} for name, (digest, size) in self.files.items()},
            "base": self.base,
            "molt": self.molt,
            "checks": {name: check.to_dict() for name, check in self.checks.items()},
        }


def export(source: Source, kind: str, quant: str, out: Path | None, report: Report) -> Exported:
    """Write the student as ``kind`` (a FORMAT; ``quant`` counts for gguf) and give what was written.

    Nothing is left where a check fails. Errors: UsageError, HomeError (disk), ModelError, EngineError, and
    TrainingError when the file does not agree with the student that speaks.
    """
    target = target_of(source, kind, quant, out)
    with working_folder(target) as folder:
        if kind == "adapter":
            made, checks = _adapter(source, folder, report)
        elif kind == "gguf":
            made, checks = _gguf(source, folder, quant, report)
        else:
            made, checks = _library(source, folder, kind, report)
        report("writing", 0.99)
        put(made, target)
    used = quant if kind == "gguf" else ""
    return Exported(kind, used, target, source.model.name, source.model.path, source.number, describe(target), checks)


def merged_gguf(source: Source, folder: Path, quant: str, report: Report) -> Path:
    """The student as one GGUF of ``quant`` in ``folder``; not yet checked. Errors: as ``export``."""
    weights = sum(int(tensor.n_elements) for tensor in open_gguf(source.weights).tensors)
    need_space(folder, int(weights * BYTES_A_WEIGHT[quant]))
    half = folder / "f16.gguf"
    merge_adapter(
        source.weights,
        source.adapter,
        half,
        source.metadata,
        on_part=lambda done, parts: report("merging", 0.4 * done / parts),
    )
    if quant == "f16":
        return half
    report("quantising", 0.4)
    packed = folder / f"{quant}.gguf"
    requantise_file(half, packed, source.log, quant)
    half.unlink()
    return packed


def speaks(source: Source) -> Probe:
    """The student as it speaks in the runtime: the packed base with its adapter."""
    return probe(source.weights, source.adapter, source.log)


def prove(name: str, found: Agreement, least_cosine: float) -> None:
    """Errors: TrainingError, with the figures, when two that should agree do not."""
    if not found.cosine >= least_cosine:
        raise TrainingError(
            f"{name} does not agree with the student that speaks ({found.text}; at least {least_cosine} is wanted); "
            "nothing was left. A finer number type may do (--quant f16); the adapter always does: --format adapter"
        )


def _adapter(source: Source, folder: Path, report: Report) -> tuple[Path, dict[str, Agreement]]:
    assert source.adapter is not None  # noqa: S101 - target_of has refused the others
    need_space(folder, source.adapter.stat().st_size)
    made = folder / "adapter.gguf"
    shutil.copyfile(source.adapter, made)
    report("checking", 0.2)
    reference = speaks(source)
    report("checking", 0.6)
    copied = probe(source.weights, made, source.log)
    found = agreement(reference.whole, copied.whole)
    prove("the copied adapter", found, LEAST_COSINE_SAME)
    return made, {"runtime": found}


def _gguf(source: Source, folder: Path, quant: str, report: Report) -> tuple[Path, dict[str, Agreement]]:
    made = merged_gguf(source, folder, quant, report)
    return made, {"runtime": check_gguf_student(source, made, quant, report)}


def check_gguf_student(source: Source, made: Path, quant: str, report: Report) -> Agreement:
    """How well a written GGUF agrees with the student that speaks. Errors: TrainingError when it does not."""
    report("checking", 0.6)
    reference = speaks(source)
    report("checking", 0.8)
    written = probe(made, None, source.log)
    if (written.ids, written.texts) != (reference.ids, reference.texts):
        raise TrainingError(f"{made.name} cuts text into other tokens than its base; nothing was left")
    found = agreement(reference.whole, written.whole)
    prove(f"the student in {quant}", found, LEAST_COSINE[quant])
    return found


def _library(source: Source, folder: Path, kind: str, report: Report) -> tuple[Path, dict[str, Agreement]]:
    """A folder for transformers, or for onnxruntime: both come from the merged weights as transformers loads them."""
    from distill.export.checkpoint import load_checkpoint, same_tokens, save_checkpoint, torch_logits

    weights = sum(int(tensor.n_elements) for tensor in open_gguf(source.weights).tensors)
    need_space(folder, int(weights * BYTES_A_WEIGHT[kind]))
    half = merged_gguf(source, folder, "f16", report)
    runtime = check_gguf_student(source, half, "f16", report)
    report("loading", 0.5)
    checkpoint = load_checkpoint(half)
    reference = probe(half, None, source.log)
    half.unlink()
    made = folder / kind
    if kind == "hf":
        report("saving", 0.7)
        save_checkpoint(checkpoint, made, source.name)
        report("checking", 0.8)
        checkpoint = load_checkpoint(made)
        same_tokens(checkpoint, reference)
        found = agreement(reference.whole, torch_logits(checkpoint, reference.ids))
        prove("the checkpoint", found, LEAST_COSINE_SAME)
        return made, {"runtime": runtime, "transformers": found}
    from distill.export.onnx_model import onnx_logits, save_onnx

    same_tokens(checkpoint, reference)
    report("tracing", 0.6)
    save_onnx(checkpoint, made, source.name)
    report("checking", 0.9)
    expected = torch_logits(checkpoint, reference.ids)
    found = agreement(expected, onnx_logits(made, reference.ids))
    prove("the ONNX graph", found, LEAST_COSINE_SAME)
    return made, {"runtime": runtime, "onnxruntime": found}
