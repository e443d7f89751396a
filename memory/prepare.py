"""Child process: turns a sentence-transformers model into ONNX once, so that no other process imports torch.

Run as ``python -m memory.prepare SOURCE TARGET``: SOURCE is a folder with a sentence-transformers model or its name on
the hub, TARGET an empty folder that gets ``model.onnx``, ``tokenizer.json`` and ``embedder.json``. All that the model's
own configuration says is in the graph: pooling, dense layers, normalisation; its prompts are in ``embedder.json``.
Fails unless the vectors agree.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from memory.embedder import CEILING, FLOOR, NAME, PACKAGE, Facts, OnnxEncoder, mark_of
from memory.files import sha256_file

LEAST_COSINE = 0.999
MOST_TOKENS = 512
"""A chunk has about 220 tokens; models that read 8,192 would only cost more."""
PAIRS = (
    ("when do the backups run", "Backups: every night at 03:20 to an external disk called Baleia."),
    ("onde está a maçã do João", "A maçã do João está na mesa da cozinha, ao lado da chave."),
    ("who feeds the cat", "Marta feeds the cat in the morning, before she leaves for work."),
    ("how do I renew the library card", "The library card is renewed online, with the number on its back."),
)
"""Questions with their answers; every question is unrelated to the other answers."""
PROBES = (
    *(text for pair in PAIRS for text in pair),
    "x",
    "for f in *.JPG; do mv -n $f ${f,,}; done\n\nThe loop keeps both photos; the second gets a number. " * 12,
)


def main(source: str, target: Path) -> None:
    """Export, check, and write the three files; raises SystemExit with one line where that cannot be done."""
    os.nice(10)  # the first words of a new home are spoken meanwhile
    import torch

    model = _opened(source)
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    if tokenizer is None:
        raise SystemExit("it has no tokenizer of the tokenizers library (tokenizer.json)")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(target / "tokenizer.json"))
    with torch.inference_mode():
        _export(model, target / "model.onnx")
        questions = model.encode_query(list(PROBES), normalize_embeddings=True)
        passages = model.encode_document(list(PROBES), normalize_embeddings=True)
    onnx_sha256 = sha256_file(target / "model.onnx")
    folder = Path(source)
    weights = folder / "model.safetensors"
    is_ours = folder.is_dir() and folder.parent.name == PACKAGE
    facts: dict[str, Any] = {
        "key": NAME if is_ours else f"{source.rstrip('/').rsplit('/', 1)[-1]}@{onnx_sha256[:12]}",
        "dimensions": int(passages.shape[1]),
        "max_tokens": min(int(model.max_seq_length or MOST_TOKENS), MOST_TOKENS),
        "query_prompt": _prompt(model, "query"),
        "document_prompt": _prompt(model, "document", "passage", "corpus"),
        "onnx_bytes": (target / "model.onnx").stat().st_size,
        "mark": mark_of(folder) if folder.is_dir() else "",
    }
    facts["floor"], facts["ceiling"] = (FLOOR, CEILING) if is_ours else _scale(questions, passages)
    encoder = OnnxEncoder(target, Facts(**facts))
    cosines = [float(encoder.encode_query(text) @ vector) for text, vector in zip(PROBES, questions, strict=True)]
    cosines += [float(cosine) for cosine in (encoder.encode(PROBES) * passages).sum(axis=1)]
    if not min(cosines) >= LEAST_COSINE:
        raise SystemExit(f"the ONNX model disagrees with the original (cosine {min(cosines):.4f}); nothing was kept")
    facts["least_cosine"] = min(cosines)
    facts["source_sha256"] = sha256_file(weights) if weights.is_file() else ""
    facts["onnx_sha256"] = onnx_sha256
    (target / "embedder.json").write_text(json.dumps(facts, indent=1) + "\n")


def _opened(source: str) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(source, device="cpu")
    except Exception as error:  # of the hub, of transformers, of safetensors: as many kinds as libraries
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise SystemExit(f"it cannot be loaded ({first})") from None
    return model.float().eval()


def _prompt(model: Any, *names: str) -> str:
    """What sentence-transformers itself puts before a text; its default prompt does not count in encode_query."""
    return next((str(model.prompts[name]) for name in names if model.prompts.get(name)), "")


def _scale(questions: Any, passages: Any) -> tuple[float, float]:
    """(cosine of a question with unrelated texts, with its answer), as means over PAIRS.

    Where a model does not tell them apart (one of random weights), its cosines are taken as they are.
    """
    count = len(PAIRS)
    table = questions[: 2 * count : 2] @ passages[1 : 2 * count : 2].T
    right = float(table.diagonal().mean())
    wrong = float((table.sum() - table.diagonal().sum()) / (count * (count - 1)))
    return (wrong, right) if right - wrong > 0.05 else (FLOOR, CEILING)


def _export(model: Any, path: Path) -> None:
    """Write all modules and a last normalisation as one graph: two int64 [texts, tokens] in, [texts, dimensions] out.

    The older TorchScript exporter on purpose: with torch 2.13 and transformers 5.23 the dynamo exporter writes a graph
    whose vectors have cosine 0.04 to the right ones, and takes 9 s instead of 2.
    """
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = model[0].auto_model
            self.others = torch.nn.ModuleList(list(model)[1:])

        def forward(self, token_ids: Any, token_mask: Any) -> Any:
            hidden = self.transformer(input_ids=token_ids, attention_mask=token_mask).last_hidden_state
            features = {"token_embeddings": hidden, "attention_mask": token_mask, "input_ids": token_ids}
            for module in self.others:
                features = module(features)
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=1)

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
    main(sys.argv[1], Path(sys.argv[2]))
