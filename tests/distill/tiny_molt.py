"""A home whose base is a tiny random Llama, with one molt of random weights that changes what it says a lot."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_llama import Pair, make_pair
from transformers import LlamaForCausalLM

from distill.export.adapter import export_adapter
from distill.export.source import Source, find_source
from distill.manifest import ADAPTER_NAME, describe_files, write_manifest
from distill.registry import Registry
from memory.home import Home
from molting_agent.runtime.models import register, requantise_file

ALPHA, RANK = 24, 4


class TinyMolt(NamedTuple):
    """``merged`` is what base and adapter make together, by torch's own arithmetic."""

    home: Home
    pair: Pair
    merged: LlamaForCausalLM
    source: Source


def make_tiny_molt(home: Home, words_of: Path, *, tied: bool = True, packed: bool = False) -> TinyMolt:
    """Fill ``home``; its base is in float32, or in Q8_0 when ``packed`` (``merged`` is then near, not equal)."""
    pair = make_pair(home.root / "base", words_of, tied=tied)
    path = pair.model.path
    if packed:
        path = path.with_name("tiny-q8_0.gguf")
        requantise_file(pair.model.path, path, home.logs_dir / "engine.log")
    model = register(home, path)
    adapted = random_adapter(LlamaForCausalLM.from_pretrained(pair.checkpoint))
    peft_folder = home.root / "peft"
    adapted.save_pretrained(peft_folder)
    folder = Registry(home.molts_dir).folder(1)
    folder.mkdir(parents=True)
    export_adapter(peft_folder, folder / ADAPTER_NAME, adapted.config)
    write_tiny_manifest(folder, 1, model.source_sha256)
    Registry(home.molts_dir).promote(1, model.source_sha256)
    merged = adapted.merge_and_unload().eval()
    return TinyMolt(home, pair, merged, find_source(home, None, str(path)))


def copy_tiny_molt(made: TinyMolt, home: Home) -> TinyMolt:
    """The same in another home, for a test that changes it; making one takes seconds, copying it none."""
    home.make_folders()
    for name in ("base", "molts"):
        shutil.copytree(made.home.root / name, home.root / name, dirs_exist_ok=True)
    path = home.root / "base" / made.source.model.path.name
    register(home, path)
    base = home.root / "base"
    pair = Pair(base / "checkpoint", replace(made.pair.model, path=base / made.pair.model.path.name))
    return TinyMolt(home, pair, made.merged, find_source(home, None, str(path)))


def random_adapter(model: LlamaForCausalLM, *, seed: int = 5, scale: float = 0.15) -> PeftModel:
    """The model with a LoRA on all linear layers, both halves random."""
    torch.manual_seed(seed)
    adapted = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear"))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.copy_(scale * torch.randn_like(weight))
    return adapted


def write_tiny_manifest(folder: Path, number: int, base_sha256: str, name: str = ADAPTER_NAME) -> None:
    """A manifest that names one file."""
    manifest = {"schema": 1, "molt": number, "created_at": "2026-01-01T00:00:00Z", "base_sha256": base_sha256}
    write_manifest(folder, {**manifest, "verdict": "promoted", "files": describe_files(folder, [name])})
