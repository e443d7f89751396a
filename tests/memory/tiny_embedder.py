"""A tiny sentence-transformers model of random weights: another dimension, another pooling, prompts."""

import json
from pathlib import Path

DIMENSIONS = 24
TEXTS = "when do the backups run every night disk called baleia who feeds cat marta morning maçã joão mesa x polvo"


def make_model(folder: Path, *, pooling: str = "cls", seed: int = 3) -> Path:
    """Save the model: Bert of two small layers, pooled by ``pooling``, a dense layer of 24, prompts for both sides."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    letters = [chr(number) for number in range(ord("a"), ord("z") + 1)] + list("0123456789.,:çãé")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(set(TEXTS.split()) | set(letters))]
    words += [f"##{letter}" for letter in letters]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(strip_accents=False)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    base = folder / "base"
    BertModel(config).save_pretrained(base)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(base)
    from sentence_transformers.base.modules import Dense, Transformer

    transformer = Transformer(str(base), max_seq_length=48)
    pooled = modules.Pooling(32, pooling_mode=pooling)
    model = SentenceTransformer(
        modules=[transformer, pooled, Dense(32, DIMENSIONS)],
        prompts={"query": "when: ", "document": "night: "},
        device="cpu",
    )
    path = folder / "tiny-model"
    model.save(str(path))
    assert "prompts" in json.loads((path / "config_sentence_transformers.json").read_text())
    return path
