"""Parts of an export: how agreement is measured, room on the disk, places, and what is printed for use elsewhere."""

import math
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distill.export.agreement import agreement
from distill.export.place import SPARE_BYTES, describe, need_space, put, working_folder
from distill.export.usage import how_to, tensorrt_command
from memory.errors import HomeError
from memory.files import sha256_file

LOGITS = arrays(np.float32, (3, 7), elements=st.floats(-20, 20, width=32))


@given(LOGITS, st.floats(-50, 50, width=32))
def test_a_constant_on_all_logits_changes_nothing(logits_NV: np.ndarray, constant: float) -> None:
    logits_NV[:, 0] += 1.0  # a row of equal values has no direction
    found = agreement(logits_NV, logits_NV + np.float32(constant))
    assert found.kl_nats < 1e-6
    if (logits_NV.std(axis=1) > 1e-2).all():
        assert found.cosine > 0.9999


@given(LOGITS, LOGITS)
def test_agreement_stays_within_its_bounds(a_NV: np.ndarray, b_NV: np.ndarray) -> None:
    found = agreement(a_NV, b_NV)
    assert -1.000001 <= found.cosine <= 1.000001
    assert found.kl_nats >= 0
    assert 0 <= found.same_top <= 1
    assert found.positions == 3


def test_agreement_by_hand() -> None:
    # p = (3/4, 1/4), q = (1/4, 3/4): KL = 3/4 ln 3 + 1/4 ln 1/3; the centred logits point in opposite directions.
    a_NV, b_NV = np.log([[3.0, 1.0]]), np.log([[1.0, 3.0]])
    found = agreement(a_NV, b_NV)
    assert found.kl_nats == pytest.approx(0.5 * math.log(3))
    assert found.cosine == pytest.approx(-1)
    assert found.same_top == 0
    assert "KL 0.54931 nats" in found.text


def test_logits_that_are_not_numbers_agree_with_nothing() -> None:
    good_NV = np.arange(6.0).reshape(2, 3)
    bad_NV = good_NV.copy()
    bad_NV[1, 1] = np.nan
    assert agreement(good_NV, bad_NV).cosine == pytest.approx(0.5)
    assert agreement(good_NV, bad_NV).kl_nats == math.inf
    with pytest.raises(ValueError, match="not of the same text"):
        agreement(good_NV, good_NV[:1])


def test_a_full_disk_is_named_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=SPARE_BYTES + 50_000_000))
    need_space(tmp_path, 50_000_000)
    with pytest.raises(HomeError, match=r"251 MB are needed there and 250 MB are free; .*--out PATH"):
        need_space(tmp_path, 51_000_000)


def test_the_working_folder_goes_whatever_happens(tmp_path: Path) -> None:
    target = tmp_path / "new" / "x.gguf"
    left = tmp_path / "new" / ".x.gguf.part"
    left.mkdir(parents=True)
    (left / "of a killed export").write_text("half")

    def fail() -> None:
        with working_folder(target) as folder:
            assert list(folder.iterdir()) == []
            (folder / "half").write_text("x")
            raise RuntimeError("as it may")

    with pytest.raises(RuntimeError, match="as it may"):
        fail()
    assert list(target.parent.iterdir()) == []


def test_a_file_and_a_folder_are_put_by_one_rename_and_described(tmp_path: Path) -> None:
    for kind in ("file", "folder"):
        target = tmp_path / kind
        with working_folder(target) as folder:
            made = folder / "made"
            if kind == "file":
                made.write_bytes(b"abc")
            else:
                made.mkdir()
                (made / "deep").mkdir()
                (made / "deep" / "a").write_bytes(b"abc")
            put(made, target)
        name = "file" if kind == "file" else "deep/a"
        path = target if kind == "file" else target / "deep" / "a"
        assert describe(target) == {name: (sha256_file(path), 3)}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_how_to_use_each_format_names_its_path_quoted() -> None:
    path, base = Path("/my models/he.gguf"), Path("/b/base.gguf")
    quoted = shlex.quote(str(path))
    assert f"llama-server -m {base} --lora {quoted}" in how_to("adapter", path, base)
    assert f"llama-server -m {quoted}" in how_to("gguf", path, base)
    assert f"trtllm-serve {quoted}" in how_to("hf", path, base)
    assert f"from_pretrained({str(path)!r})" in how_to("hf", path, base)
    assert "numpy.zeros((1, 3, 0, 64)" in how_to("onnx", path, base, (30, 3, 64))


def test_trtexec_gets_three_shapes_for_every_input_that_varies() -> None:
    words = shlex.split(tensorrt_command(Path("/o/model.onnx"), 2, 3, 64))
    assert words[:2] == ["trtexec", "--onnx=/o/model.onnx"]
    assert words[-1] == "--saveEngine=/o/model.engine"
    shapes = {word.partition("=")[0]: word.partition("=")[2].split(",") for word in words[2:-1]}
    assert list(shapes) == ["--minShapes", "--optShapes", "--maxShapes"]
    assert {len(one) for one in shapes.values()} == {3 + 2 * 2}
    for one in shapes.values():
        sizes = dict(item.split(":") for item in one)
        batch, new = sizes["input_ids"].split("x")
        past = sizes["past_key_values.1.value"].split("x")[2]
        assert sizes["attention_mask"] == f"{batch}x{int(new) + int(past)}"
        assert sizes["past_key_values.0.key"] == f"{batch}x3x{past}x64"
