"""The embedder: the official model, prepared once, and vectors that do not depend on their neighbours."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from memory import embedder
from memory.errors import MemoryStoreError
from tests.memory.conftest import ROOT

TEXTS = ["when do the backups run", "x", "A maçã do João.", "The gauge at Crestuma reports every 15 minutes. " * 40, ""]


def test_the_prepared_model_agrees_with_the_original(prepared_embedder: Path) -> None:
    facts = json.loads((embedder.prepared_folder(prepared_embedder) / "embedder.json").read_text())
    assert facts["source_sha256"] == embedder.SHA256
    assert facts["least_cosine"] >= 0.999
    assert facts["dimensions"] == embedder.DIMENSIONS


def test_vectors_have_length_1_and_do_not_depend_on_what_they_are_batched_with(prepared_embedder: Path) -> None:
    encoder = embedder.load(prepared_embedder)
    together = encoder.encode(TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert together.shape == (len(TEXTS), embedder.DIMENSIONS)
    assert together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    assert np.allclose(together, alone, atol=1e-5)
    assert encoder.encode([]).shape == (0, embedder.DIMENSIONS)


def test_a_question_is_nearer_to_its_answer_than_to_anything_else(prepared_embedder: Path) -> None:
    encoder = embedder.load(prepared_embedder)
    texts = ["Every night at 03:20 the copies go to the disk.", "Polvo eats salmon kibble.", "No grid, no legend."]
    cosines = encoder.encode(texts) @ encoder.encode(["what does the cat eat"])[0]
    assert int(cosines.argmax()) == 1


@pytest.mark.parametrize("damage", ["truncated", "missing tokenizer", "no facts"])
def test_damaged_files_are_noticed_before_they_are_loaded(prepared_embedder: Path, tmp_path: Path, damage: str) -> None:
    folder = embedder.prepared_folder(tmp_path)
    shutil.copytree(embedder.prepared_folder(prepared_embedder), folder)
    assert embedder.is_prepared(tmp_path)
    match damage:
        case "truncated":
            with (folder / "model.onnx").open("r+b") as file:
                file.truncate(1_000_000)
        case "missing tokenizer":
            (folder / "tokenizer.json").unlink()
        case _:
            (folder / "embedder.json").write_text("{")
    assert not embedder.is_prepared(tmp_path)
    with pytest.raises(MemoryStoreError, match="not prepared"):
        embedder.load(tmp_path)


def test_another_model_than_the_official_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder, "SHA256", "0" * 64)
    with pytest.raises(MemoryStoreError, match="sha256"):
        embedder.prepare(tmp_path)
    monkeypatch.setattr(embedder, "PACKAGE", "no_such_package_here")
    with pytest.raises(MemoryStoreError, match="pip install no-such-package-here"):
        embedder.prepare(tmp_path)
    assert not embedder.is_prepared(tmp_path)


def test_of_two_processes_that_prepare_at_once_one_does_the_work(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from memory import embedder\n"
        "def child(source, target):\n"
        "    import json, time; time.sleep(0.5); open(sys.argv[1] + '/runs', 'a').write('run ')\n"
        "    (target / 'model.onnx').write_bytes(b'onnx'); (target / 'tokenizer.json').write_text('{}')\n"
        "    (target / 'embedder.json').write_text(json.dumps({'onnx_bytes': 4}))\n"
        "embedder._run_child = child; embedder.prepare(Path(sys.argv[1]))\n"
        "assert embedder.is_prepared(Path(sys.argv[1]))\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    assert (tmp_path / "runs").read_text() == "run "
    assert [entry.name for entry in (tmp_path / "embedder").iterdir()] == [embedder.NAME]
