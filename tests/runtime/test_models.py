"""Model files: the embedded one is verified and prepared; damaged ones end in one clear line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from memory.errors import ModelError
from memory.home import Home
from molting_agent.runtime import models
from molting_agent.runtime.gguf_header import check_gguf
from molting_agent.runtime.models import embedded_model, known_models, register, resolve_model


def test_embedded_model_is_prepared_and_remembered(home: Home) -> None:
    model = embedded_model(home)
    assert model.path.name == "SmolLM2-135M-Instruct.Q8_0.gguf"
    assert model.source_sha256 == models.EMBEDDED_SHA256 != model.sha256
    assert known_models(home).count(model) == 1
    assert resolve_model(home) == resolve_model(home, "SmolLM2-135M") == model


def test_foreign_embedded_file_is_refused(
    make_home: Callable[..., Home], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fake.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    monkeypatch.setattr(models, "_embedded_source", lambda: tmp_path / "fake.gguf")
    with pytest.raises(ModelError, match="is not the published"):
        embedded_model(make_home("fresh", with_models=False))


def test_damaged_list_of_models_only_costs_hashing(make_home: Callable[..., Home], prepared_models: Path) -> None:
    home = make_home("fresh", with_models=False)
    (home.models_dir / "models.json").write_text("[{")
    model = register(home, prepared_models / "SmolLM2-135M-Instruct.Q8_0.gguf")
    assert known_models(home) == [model]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "only 0 bytes"),
        (b"not a model at all, but long enough", "begins with"),
        (b"GGUF\x03\0\0\0" + b"\xff" * 64, "header is damaged"),
        (b"GGUF\x63\0\0\0" + b"\0" * 64, "version 99"),
    ],
)
def test_what_is_no_model_gets_one_line(tmp_path: Path, home: Home, content: bytes, says: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=says) as caught:
        resolve_model(home, str(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.999])
def test_truncated_model_is_found_before_native_code(tmp_path: Path, prepared_models: Path, share: float) -> None:
    whole = (prepared_models / "SmolLM2-135M-Instruct.Q8_0.gguf").read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match=r"cut short|damaged"):
        check_gguf(path)


def test_missing_model_is_one_line(home: Home) -> None:
    with pytest.raises(ModelError, match=r"missing.gguf: no such model file.*molt models ls"):
        resolve_model(home, "missing.gguf")


def test_known_model_whose_file_is_gone(home: Home, tmp_path: Path, prepared_models: Path) -> None:
    home.models_dir.unlink()
    home.models_dir.mkdir()
    entry = {
        "name": "Old",
        "path": str(tmp_path / "old.gguf"),
        "sha256": "0",
        "bytes": 1,
        "source": "",
        "source_sha256": "0",
    }
    (home.models_dir / "models.json").write_text(json.dumps([entry]))
    with pytest.raises(ModelError, match="the file of Old is gone"):
        resolve_model(home, "Old")
