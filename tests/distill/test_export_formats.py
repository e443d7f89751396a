"""Each format of an export: written, proved, described; and nothing left behind where the proof fails."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_molt import TinyMolt, copy_tiny_molt, make_tiny_molt, write_tiny_manifest
from transformers import AutoModelForCausalLM, AutoTokenizer

from distill.export import formats
from distill.export.agreement import agreement
from distill.export.checkpoint import load_checkpoint, same_tokens, torch_logits
from distill.export.formats import export
from distill.export.gguf_file import BASE_KEY, MOLT_KEY, metadata, open_gguf
from distill.export.merge import merge_adapter
from distill.export.onnx_model import onnx_logits
from distill.export.probe import probe
from distill.export.source import find_source, target_of
from distill.manifest import WHOLE_NAME
from distill.registry import Registry
from memory.errors import HomeError, MoltError, TrainingError, UsageError
from memory.home import Home
from molting_agent.identity import create_home

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, words_of: Path) -> TinyMolt:
    home = Home(tmp_path_factory.mktemp("made"))
    home.make_folders()
    return make_tiny_molt(home, words_of)


@pytest.fixture
def molt(made: TinyMolt, tmp_path: Path) -> TinyMolt:
    return copy_tiny_molt(made, Home(tmp_path / "tiny"))


def silent(_what: str, _share: float) -> None:
    """No progress is shown."""


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_adapter_is_copied_byte_for_byte(molt: TinyMolt) -> None:
    assert molt.source.adapter is not None
    done = export(molt.source, "adapter", "q8_0", None, silent)
    assert done.path == molt.home.root / "exports" / "tiny-molt-1-adapter.gguf"
    assert done.path.read_bytes() == molt.source.adapter.read_bytes()
    assert done.checks["runtime"].cosine == pytest.approx(1)


@pytest.mark.parametrize("quant", ["f16", "q8_0", "q4_k_m"])
def test_a_merged_gguf_of_each_number_type(molt: TinyMolt, quant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if quant == "q4_k_m":  # random weights lose more of themselves in four bits than trained ones
        monkeypatch.setitem(formats.LEAST_COSINE, quant, 0.6)
    told: list[tuple[str, float]] = []
    done = export(molt.source, "gguf", quant, molt.home.root, lambda what, share: told.append((what, share)))
    assert done.path == molt.home.root / f"tiny-molt-1-{quant}.gguf"
    assert [share for _what, share in told] == sorted(share for _what, share in told)
    assert dict.fromkeys(what for what, _share in told).keys() >= {"merging", "checking", "writing"}
    reader = open_gguf(done.path)
    assert metadata(reader, "general.file_type") == {"f16": 1, "q8_0": 7, "q4_k_m": 15}[quant]
    assert (metadata(reader, BASE_KEY), metadata(reader, MOLT_KEY)) == (molt.source.model.source_sha256, 1)
    assert done.checks["runtime"].cosine >= formats.LEAST_COSINE[quant]
    assert left_in(done.path.parent).count(done.path.name) == 1
    assert not [name for name in left_in(done.path.parent) if name.endswith(".part")]


def test_a_checkpoint_that_transformers_loads_and_cuts_alike(molt: TinyMolt) -> None:
    done = export(molt.source, "hf", "", None, silent)
    model = AutoModelForCausalLM.from_pretrained(done.path).eval()
    tokenizer = AutoTokenizer.from_pretrained(done.path)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(done.files)
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in molt.merged.parameters())
    messages = [{"role": "user", "content": "Baleia tem 12 GB?"}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    checkpoint = load_checkpoint(done.path)
    found = torch_logits(checkpoint, [ids])
    expected = torch_logits(type(checkpoint)(molt.merged, tokenizer), [ids])
    assert agreement(expected, found).cosine > 0.999
    assert "/" not in json.loads((done.path / "config.json").read_text()).get("_name_or_path", "")


def test_an_onnx_graph_of_any_batch_and_length_with_its_cache(molt: TinyMolt) -> None:
    done = export(molt.source, "onnx", "", None, silent)
    assert {"model.onnx", "config.json", "tokenizer.json"} <= set(done.files)
    assert done.checks["onnxruntime"].cosine > 0.999
    texts = [[3, 5, 7, 11, 13, 17, 19], [2, 4], [8] * 60]
    expected = torch_logits(load_checkpoint(molt.pair.checkpoint).__class__(molt.merged, None), texts)
    assert agreement(expected, onnx_logits(done.path, texts)).cosine > 0.999
    wrong = onnx_logits(done.path, [list(reversed(text)) for text in texts])
    assert agreement(expected, wrong).cosine < 0.99  # the check can fail


@pytest.mark.parametrize("kind", ["gguf", "hf"])
def test_a_file_that_lacks_the_molt_is_not_left(molt: TinyMolt, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets_the_adapter(base: Path, _adapter: Path, *rest: object, **options: object) -> int:
        return merge_adapter(base, None, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(formats, "merge_adapter", forgets_the_adapter)
    with pytest.raises(TrainingError, match=r"does not agree with the student that speaks .*nothing was left"):
        export(molt.source, kind, "f16", None, silent)
    assert left_in(molt.home.root / "exports") == []


def test_a_tokenizer_that_cuts_otherwise_is_refused(molt: TinyMolt, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(molt.pair.checkpoint)
    reference = probe(molt.source.weights, None, tmp_path / "log")
    same_tokens(checkpoint, reference)
    reference.texts[2].append(7)
    with pytest.raises(TrainingError, match=r"makes another tokenizer of this file than llama\.cpp: 'Não é já"):
        same_tokens(checkpoint, reference)


def test_what_is_there_already_is_not_overwritten(molt: TinyMolt, tmp_path: Path) -> None:
    taken = tmp_path / "mine.gguf"
    taken.write_text("precious")
    with pytest.raises(UsageError, match=r"mine\.gguf is there already; remove it, or name another place: --out"):
        export(molt.source, "gguf", "f16", taken, silent)
    assert taken.read_text() == "precious"
    assert target_of(molt.source, "gguf", "f16", tmp_path) == tmp_path / "tiny-molt-1-f16.gguf"


def test_the_base_has_no_adapter_and_a_whole_student_neither(molt: TinyMolt) -> None:
    base = find_source(molt.home, 0, str(molt.pair.model.path))
    assert (base.number, base.adapter, base.name) == (0, None, "tiny")
    with pytest.raises(UsageError, match="the base has no adapter; export it as: --format gguf"):
        export(base, "adapter", "", None, silent)
    folder = Registry(molt.home.molts_dir).folder(2)
    folder.mkdir()
    shutil.copyfile(molt.pair.model.path, folder / WHOLE_NAME)
    write_tiny_manifest(folder, 2, molt.source.model.source_sha256, WHOLE_NAME)
    whole = find_source(molt.home, 2, str(molt.pair.model.path))
    assert (whole.adapter, whole.weights) == (None, folder / WHOLE_NAME)
    with pytest.raises(UsageError, match=r"molt 2 was trained whole \(model.gguf\)"):
        export(whole, "adapter", "", None, silent)
    assert export(whole, "gguf", "f16", None, silent).checks["runtime"].cosine > 0.9999


def test_molts_that_cannot_be_exported_say_why(molt: TinyMolt) -> None:
    name = str(molt.pair.model.path)
    with pytest.raises(MoltError, match="there is no molt 7"):
        find_source(molt.home, 7, name)
    folder = Registry(molt.home.molts_dir).folder(3)
    shutil.copytree(molt.source.adapter.parent, folder)  # type: ignore[union-attr]
    write_tiny_manifest(folder, 3, "f" * 64)
    with pytest.raises(MoltError, match="molt 3 is of another base"):
        find_source(molt.home, 3, name)
    molt.source.adapter.write_bytes(b"torn")  # type: ignore[union-attr]
    with pytest.raises(MoltError, match="differs from its sha256"):
        find_source(molt.home, 1, name)
    with pytest.raises(MoltError, match=r"Molt 1 was refused.*Name the one to export: --molt N"):
        find_source(molt.home, None, name)


def test_too_little_room_is_said_before_anything_is_merged(molt: TinyMolt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=1_000_000))
    for kind in ("adapter", "gguf", "hf", "onnx"):
        with pytest.raises(HomeError, match="MB are needed there and 1 MB are free"):
            export(molt.source, kind, "q8_0", None, silent)
    assert left_in(molt.home.root / "exports") == []


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, check=False, env=environment
    )


def test_molt_export_prints_path_size_digest_and_use(molt: TinyMolt) -> None:
    create_home(molt.home)
    (molt.home.root / "config.toml").write_text(f'[model]\nname = "{molt.source.model.name}"\n')
    home = ("--home", str(molt.home.root))
    done = run("molting_agent", "export", *home, "--format", "gguf", "--quant", "f16")
    assert (done.returncode, done.stderr) == (0, "")
    path = molt.home.root / "exports" / "tiny-molt-1-f16.gguf"
    assert done.stdout.startswith(f"{path}  ")
    digest = export(molt.source, "gguf", "f16", molt.home.root / "again.gguf", silent).files["again.gguf"][0]
    assert f"sha256 {digest}  tiny-molt-1-f16.gguf" in done.stdout
    assert f"llama-server -m {path}" in done.stdout
    again = run("molting_agent", "export", *home, "--format", "gguf", "--quant", "f16")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == f"molt: {path} is there already; remove it, or name another place: --out PATH\n"
    as_json = run("molting_agent", "export", *home, "--format", "adapter", "--json")
    values = json.loads(as_json.stdout)
    assert values["molt"] == 1
    assert values["checks"]["runtime"]["cosine"] == pytest.approx(1)


def test_the_childs_progress_is_for_a_terminal_only(molt: TinyMolt) -> None:
    name = ("--model", str(molt.pair.model.path), "--format", "adapter")
    done = run("distill", "export", "--home", str(molt.home.root), *name, "--progress")
    assert done.returncode == 0
    assert done.stderr.splitlines()[0].split()[:2] == ["progress", "checking"]
    wrong = run("distill", "export", "--home", str(molt.home.root / "no"), *name)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(f"distill: {molt.home.root / 'no'} is no home; make one first")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["q8_0", "q4_k_m", "f16", "hf", "onnx"])
def test_the_shipped_molt_in_every_format(make_home: Callable[..., Home], kind: str) -> None:
    home = make_home()
    create_home(home)
    source = find_source(home, 1)
    done = export(source, kind if kind in ("hf", "onnx") else "gguf", kind, None, silent)
    assert done.checks["runtime"].cosine > (0.96 if kind == "q4_k_m" else 0.995)
    others = {"hf": "transformers", "onnx": "onnxruntime"}
    if kind in others:
        assert done.checks[others[kind]].cosine > 0.999
        assert np.isfinite(done.checks[others[kind]].kl_nats)
