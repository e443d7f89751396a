"""What is exported: a molt of a home, its base, and the names and places the files get."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.export.gguf_file import BASE_KEY, MOLT_KEY
from distill.manifest import WHOLE_NAME
from distill.registry import Molt, Registry
from memory.errors import MoltError, UsageError
from memory.home import Home
from molting_agent.runtime.models import ModelFile, resolve_model

FORMATS = ("adapter", "gguf", "hf", "onnx")
QUANTS = ("f16", "q8_0", "q4_k_m")


@dataclass(frozen=True, slots=True)
class Source:
    """One student: the base that runs, and what makes a molt of it; neither for the base alone (molt 0)."""

    home: Home
    model: ModelFile
    molt: Molt | None

    @property
    def number(self) -> int:
        return self.molt.number if self.molt else 0

    @property
    def adapter(self) -> Path | None:
        """The LoRA adapter; None for the base and for a student trained whole."""
        return self.molt.adapter if self.molt and not self.molt.whole else None

    @property
    def weights(self) -> Path:
        """The GGUF of all its weights, an adapter's apart."""
        return self.molt.whole or self.model.path if self.molt else self.model.path

    @property
    def log(self) -> Path:
        """Where llama.cpp's words go."""
        return self.home.logs_dir / "export.log"

    @property
    def name(self) -> str:
        """``SmolLM2-135M-molt-3``, the beginning of every file name."""
        return f"{self.model.name}-molt-{self.number}" if self.number else self.model.name

    @property
    def metadata(self) -> dict[str, Any]:
        """What a written GGUF says of itself, in place of what its base said."""
        title = f"{self.model.name}, molt {self.number}" if self.number else self.model.name
        return {"general.name": title, BASE_KEY: self.model.source_sha256, MOLT_KEY: self.number}


def find_source(home: Home, number: int | None, model_name: str = "") -> Source:
    """Molt ``number`` (0: the base; None: the one that speaks), its files verified.

    Errors: ModelError, MoltError when it is missing, damaged, or of another base than the one in use.
    """
    model = resolve_model(home, model_name)
    registry = Registry(home.molts_dir)
    if number is None:
        molt, why = registry.load_champion(model.source_sha256)
        if why:
            raise MoltError(f"{why} Name the one to export: --molt N")
    else:
        molt = registry.get(number) if number else None
    if molt:
        if molt.base_sha256 != model.source_sha256:
            raise MoltError(
                f"molt {molt.number} is of another base ({molt.base_sha256[:12]}, in use is {model.name}, "
                f"{model.source_sha256[:12]}); change the model first: molt models use NAME"
            )
        molt.verify()
    return Source(home, model, molt)


def target_of(source: Source, kind: str, quant: str, out: Path | None) -> Path:
    """Where the export goes: ``out``, a file of a fitting name in it when it is a folder, else HOME/exports/.

    Errors: UsageError when something is there already, or the molt has no such format.
    """
    if kind == "adapter" and source.adapter is None:
        what = f"molt {source.number} was trained whole ({WHOLE_NAME})" if source.number else "the base has no adapter"
        raise UsageError(f"{what}; export it as: --format gguf")
    name = {
        "adapter": f"{source.name}-adapter.gguf",
        "gguf": f"{source.name}-{quant}.gguf",
        "hf": f"{source.name}-hf",
        "onnx": f"{source.name}-onnx",
    }[kind]
    target = (out or source.home.root / "exports" / name).expanduser().absolute()
    if target.is_dir() and kind in ("adapter", "gguf"):
        target /= name
    if target.exists():
        raise UsageError(f"{target} is there already; remove it, or name another place: --out PATH")
    return target
