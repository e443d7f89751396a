"""Child process: turns the sentence-transformers model into ONNX once, so that no other process imports torch.

Run as ``python -m memory.prepare SOURCE TARGET``: SOURCE is a folder with a sentence-transformers model, TARGET an
empty folder that gets ``model.onnx``, ``tokenizer.json`` and ``embedder.json``. Fails unless the vectors agree.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from memory.files import sha256_file

LEAST_COSINE = 0.999
PROBES = (
    "when do the backups run",
    "Backups: every night at 03:20 to an external disk called Baleia.",
    "A maçã do João está na mesa da cozinha, ao lado da chave.",
    "x",
    "for f in *.JPG; do mv -n $f ${f,,}; done\n\nThe loop keeps both photos; the second gets a number. " * 12,
)


def main(source: Path, target: Path) -> None:
    """Export, check, and write the three files; raises SystemExit with one line when the vectors differ."""
    os.nice(10)  # the first words of a new home are spoken meanwhile
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(source), device="cpu")
    max_tokens = int(model.max_seq_length or 256)
    tokenizer = model.tokenizer.backend_tokenizer
    tokenizer.save(str(target / "tokenizer.json"))
    with torch.inference_mode():
        _export(model[0].auto_model, target / "model.onnx")
    reference = model.encode(list(PROBES), normalize_embeddings=True)

    from memory.embedder import OnnxEncoder

    vectors = OnnxEncoder(target / "model.onnx", target / "tokenizer.json", max_tokens).encode(PROBES)
    cosines = (vectors * reference).sum(axis=1)
    if not float(cosines.min()) >= LEAST_COSINE:
        raise SystemExit(f"the ONNX model disagrees with the original (cosine {cosines.min():.4f}); nothing was kept")
    facts = {
        "dimensions": int(vectors.shape[1]),
        "max_tokens": max_tokens,
        "least_cosine": float(cosines.min()),
        "source_sha256": sha256_file(source / "model.safetensors"),
        "onnx_sha256": sha256_file(target / "model.onnx"),
        "onnx_bytes": (target / "model.onnx").stat().st_size,
    }
    (target / "embedder.json").write_text(json.dumps(facts, indent=1) + "\n")


def _export(transformer: Any, path: Path) -> None:
    """Write transformer, masked mean and normalisation as one graph: two int64 [texts, tokens] in, [texts, 384] out.

    The older TorchScript exporter on purpose: with torch 2.13 and transformers 5.23 the dynamo exporter writes a graph
    whose vectors have cosine 0.04 to the right ones, and takes 9 s instead of 2.
    """
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer

        def forward(self, token_ids: Any, token_mask: Any) -> Any:
            hidden = self.transformer(input_ids=token_ids, attention_mask=token_mask).last_hidden_state
            weight = token_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, dim=1)

    example = torch.ones(2, 8, dtype=torch.long)
    torch.onnx.export(
        Encoder().eval(),
        (example, example),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=["token_ids", "token_mask"],
        output_names=["vectors"],
        dynamic_axes={
            "token_ids": {0: "texts", 1: "tokens"},
            "token_mask": {0: "texts", 1: "tokens"},
            "vectors": {0: "texts"},
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
