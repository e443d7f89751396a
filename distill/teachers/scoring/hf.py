"""A transformers checkpoint in torch as a scoring teacher, with its own template and tokenizer, evaluated in slices."""

import hashlib
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch

from distill.losses.soft_targets import soft_targets
from distill.signals.record import Signal, signal
from distill.teachers.protocol import Rejected
from distill.teachers.scoring.protocol import UNSPELT, Request, ScoringTraits, form_of, too_long
from distill.teachers.scoring.vocabulary import cut_alike, engine_cut, spelt
from distill.teachers.settings import HfSettings
from memory.errors import TrainingError, UsageError
from memory.files import sha256_file
from molting_agent.runtime.protocol import Engine, Segment
from molting_agent.runtime.template import render

# Tokens evaluated at once: their logits are all that is ever held (150 MB with a vocabulary of 150,000).
SLICE_TOKENS = 256
# What of a checkpoint's folder shapes what it says.
SHAPING = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.model")


class HfTeacher:
    """One checkpoint on one device; one dialogue at a time. Errors: UsageError, TrainingError."""

    def __init__(self, name: str, settings: HfSettings, student: Engine) -> None:
        folder = _folder(name, settings.model, "config.json")
        adapter = _folder(name, settings.adapter, "adapter_config.json") if settings.adapter else None
        self._device = _device(settings.device)
        self._window = settings.context_tokens
        self._tokenizer, self._model = _load(name, folder, adapter, getattr(torch, settings.precision), self._device)
        beginning = self._tokenizer("", add_special_tokens=True).input_ids
        bos = self._tokenizer.bos_token_id
        self._begins_with = bos if bos is not None and beginning[:1] == [bos] else None
        ends = (self._tokenizer.eos_token_id, *_listed(self._model.generation_config.eos_token_id))
        self._ends = tuple(dict.fromkeys(self._tokenizer.convert_ids_to_tokens(e) for e in ends if e is not None))
        same = cut_alike(lambda text: self._cut(Segment(text)), engine_cut(student))
        self._k, self._temperatures = form_of(same)
        self.traits = ScoringTraits(
            name,
            settings.kind,
            folder.name,
            same_vocabulary=same,
            identity={
                "kind": settings.kind,
                "sha256": _sha256(folder),
                "adapter_sha256": _sha256(adapter) if adapter else "",
                "precision": settings.precision,
                "k": self._k,
                "temperatures": list(self._temperatures),
            },
        )

    def score(self, request: Request) -> list[Signal]:
        """See ``ScoringTeacher.score``."""
        template, bos = self._tokenizer.chat_template, self._tokenizer.bos_token or ""
        segments = render(template, request.messages, end_tokens=self._ends, bos_token=bos, generate=False)
        segments = segments[: 1 + max(i for i, segment in enumerate(segments) if segment.target)]
        ids = [self._cut(segment) for segment in segments]
        if self._begins_with is not None and ids[0][:1] != [self._begins_with]:
            ids[0].insert(0, self._begins_with)
        tokens = [token for segment in ids for token in segment]
        if len(tokens) > self._window:
            raise too_long(self._window)
        owner = [s.message if s.target else -1 for s, own in zip(segments, ids, strict=True) for _ in own]
        rows = self._rows(tokens, [place for place, message in enumerate(owner) if message >= 0])
        found, start = [], 0
        for message in request.targets:
            own = [(s, cut) for s, cut in zip(segments, ids, strict=True) if s.target and s.message == message]
            labels = [token for _segment, cut in own for token in cut]
            sizes = [size for segment, cut in own for size in self._sizes(segment, cut)]
            label_N, ids_NK, logprobs_NK, partition_NB = (part[start : start + len(labels)] for part in rows)
            ends = list(accumulate(sizes))
            found.append(signal(labels, ends, label_N, ids_NK, logprobs_NK, partition_NB, self._temperatures))
            start += len(labels)
        return found

    def close(self) -> None:
        self._model = None

    def _cut(self, segment: Segment) -> list[int]:
        """Tokens of a segment; only markup may become control tokens."""
        return self._tokenizer(
            segment.text, add_special_tokens=False, split_special_tokens=not segment.special
        ).input_ids

    def _sizes(self, segment: Segment, tokens: list[int]) -> list[int]:
        if segment.special:
            return [0] * len(tokens)
        sizes = spelt(self._tokenizer.convert_ids_to_tokens(tokens), segment.text)
        if sizes is None:
            raise Rejected(UNSPELT)
        return sizes

    @torch.inference_mode()
    def _rows(self, tokens: list[int], places: list[int]) -> tuple[Any, Any, Any, Any]:
        """Label log-probabilities, top-k and log-partitions at ``places``, as numpy arrays (see ``Signal``)."""
        tokens_S, cache = torch.tensor(tokens, device=self._device), None
        parts: list[tuple[torch.Tensor, ...]] = []
        for start in range(0, len(tokens) - 1, SLICE_TOKENS):
            stop = min(start + SLICE_TOKENS, len(tokens) - 1)
            wanted = [place for place in places if start < place <= stop]
            keep = torch.tensor([place - 1 - start for place in wanted] or [0], device=self._device)
            out = self._model(
                input_ids=tokens_S[None, start:stop], past_key_values=cache, use_cache=True, logits_to_keep=keep
            )
            cache = out.past_key_values
            if wanted:
                labels_N = tokens_S[torch.tensor(wanted, device=self._device)]
                parts.append(self._said(out.logits[0].float(), labels_N))
        label_N, ids_NK, logprobs_NK, partition_NB = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
        return label_N.numpy(), ids_NK.numpy(), logprobs_NK.numpy(), partition_NB.numpy()

    def _said(self, logits_NV: torch.Tensor, labels_N: torch.Tensor) -> tuple[torch.Tensor, ...]:
        said = soft_targets(logits_NV, labels_N, k=max(1, self._k), temperatures=self._temperatures)
        return said.label_logprob_N, said.ids_NK[:, : self._k], said.logprobs_NK[:, : self._k], said.log_partition_NB


def _folder(name: str, path: str, holds: str) -> Path:
    folder = Path(path).expanduser()
    if not (folder / holds).is_file():
        raise UsageError(f"teacher {name}: {folder} holds no {holds}; give the path of a checkpoint's folder")
    return folder


def _load(name: str, folder: Path, adapter: Path | None, dtype: torch.dtype, device: str) -> tuple[Any, Any]:
    """Tokenizer and model, from the disk alone."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=dtype, local_files_only=True)
        if adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
        return tokenizer, model.to(device).eval()
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise TrainingError(f"teacher {name}: {adapter or folder} cannot be loaded ({reason}); check it") from None


def _device(wish: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if wish == "auto" else wish


def _listed(ids: int | list[int] | None) -> list[int]:
    return [] if ids is None else ids if isinstance(ids, list) else [ids]


def _sha256(folder: Path) -> str:
    """One digest of all files that shape what a checkpoint says."""
    files = sorted({file for pattern in SHAPING for file in folder.glob(pattern)})
    listed = "\n".join(f"{file.name} {sha256_file(file)}" for file in files)
    return hashlib.sha256(listed.encode()).hexdigest()
