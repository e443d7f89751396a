"""Makes adapters of the embedded model, good and bad: rewritten from the shipped one, or trained on bad targets."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from distill.config import DistillConfig
from distill.dataset import example_of, prefix_tokens
from distill.dialogue import Dialogue
from distill.evaluate.general import Question
from distill.export.adapter import export_adapter
from distill.rows import schedule
from distill.student import Student, load_student
from distill.trainer import Watch, make_trainer
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.template import Message

SHIPPED = Path(__file__).parent.parent.parent / "identity" / "molt-0001" / "adapter.gguf"
CONFIG = DistillConfig(lora_rank=4, lora_alpha=16, learning_rate=3e-3, checkpoint_s=1e9, row_tokens=384)
Pairs = dict[str, tuple[np.ndarray, np.ndarray]]


def read(path: Path) -> tuple[Pairs, float]:
    """The two factors of each adapted matrix, A (rank, in) and B (out, rank), and lora_alpha."""
    reader = gguf.GGUFReader(path)
    tensors = {tensor.name: np.array(tensor.data, dtype=np.float32) for tensor in reader.tensors}
    names = sorted(name.removesuffix(".lora_a") for name in tensors if name.endswith(".lora_a"))
    alpha = reader.get_field(gguf.Keys.Adapter.LORA_ALPHA)
    assert alpha is not None
    return {name: (tensors[f"{name}.lora_a"], tensors[f"{name}.lora_b"]) for name in names}, float(alpha.contents())


def write(path: Path, pairs: Pairs, alpha: float) -> Path:
    """An adapter file of these factors, as the export writes it."""
    writer = gguf.GGUFWriter(path, arch="llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    for name, (a, b) in pairs.items():
        writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(a, dtype=np.float16))
        writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(b, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def scaled(path: Path, factor: float) -> Path:
    pairs, alpha = read(SHIPPED)
    return write(path, pairs, alpha * factor)


def rank_truncated(path: Path, share: float) -> Path:
    """The best approximation of each update by matrices of a share of its rank (Eckart and Young)."""
    pairs, alpha = read(SHIPPED)
    found: Pairs = {}
    for name, (a, b) in pairs.items():
        left_q, left_r = np.linalg.qr(b)
        right_q, right_r = np.linalg.qr(a.T)
        u, s, v = np.linalg.svd(left_r @ right_r.T)
        rank = max(1, round(share * len(s)))
        # llama.cpp divides alpha by the rank it finds.
        found[name] = (v[:rank] @ right_q.T, left_q @ u[:, :rank] * s[:rank] * rank / len(s))
    return write(path, found, alpha)


def noise(path: Path) -> Path:
    """Every matrix replaced by a random one of the same size in every entry's scale."""
    draw = np.random.default_rng(1)
    pairs, alpha = read(SHIPPED)
    return write(path, {n: tuple(draw.normal(0, x.std(), x.shape) for x in p) for n, p in pairs.items()}, alpha)


def truncated(path: Path) -> Path:
    """As a download that broke off."""
    data = SHIPPED.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def corrupted(path: Path) -> Path:
    """As a failing disk leaves it: the header whole, one byte in fifty of the weights another."""
    draw = np.random.default_rng(2)
    data = np.frombuffer(SHIPPED.read_bytes(), dtype=np.uint8).copy()
    start = len(data) // 10
    places = draw.integers(start, len(data), len(data) // 50)
    data[places] = draw.integers(0, 256, len(places), dtype=np.uint8)
    path.write_bytes(data.tobytes())
    return path


def of_wrong_base(path: Path) -> Path:
    """An adapter of a model of half the width."""
    pairs, alpha = read(SHIPPED)
    return write(path, {n: (a[:, : a.shape[1] // 2], b[: b.shape[0] // 2]) for n, (a, b) in pairs.items()}, alpha)


def joined(path: Path, first: Path, second: Path) -> Path:
    """An adapter that does what both do: the factors side by side, their scales taken into B."""
    (one, alpha_one), (two, alpha_two) = read(first), read(second)
    found: Pairs = {}
    for name, (a, b) in one.items():
        c, d = two[name]
        scale_one, scale_two = alpha_one / len(a), alpha_two / len(c)
        found[name] = (np.vstack([a, c]), np.hstack([b * scale_one, d * scale_two]))
    rank = len(found[name][0])
    return write(path, found, float(rank))  # llama.cpp divides it by the rank: 1


class School:
    """Trains small adapters one after the other on one loaded student, always from its first weights."""

    def __init__(self, model: Path, engine: EngineClient, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.student: Student = load_student(model, CONFIG)
        self.fresh = {name: p.detach().clone() for name, p in self.student.model.named_parameters() if p.requires_grad}

    def train(self, name: str, dialogues: Sequence[Dialogue], steps: int, **changes: Any) -> Path:
        """An adapter that has learnt the targets of ``dialogues`` in ``steps`` rows."""
        config = replace(CONFIG, **changes)
        weights = dict(self.student.model.named_parameters())
        for key, value in self.fresh.items():
            weights[key].data.copy_(value)
        examples = [example_of(dialogue, self.engine, config) for dialogue in dialogues]
        prefix = tuple(prefix_tokens(config.short_system, self.engine))
        sizes = [len(example.tokens) for example in examples]
        rows = schedule(
            sizes, [len(prefix)] * 2, epochs=50, row_tokens=config.row_tokens, identity_share=0, seed=config.seed
        )
        watch = Watch(1e9, lambda _step, _loss, _s: None, lambda: False)
        run = self.folder / name
        made = make_trainer(self.student, rows[:steps], examples, (prefix, prefix), config, run / "checkpoints", watch)
        made.train()
        self.student.model.save_pretrained(run / "peft")
        target = self.folder / f"{name}.gguf"
        export_adapter(run / "peft", target, self.student.base.config, name=name)
        return target


def with_replies(dialogues: Sequence[Dialogue], reply: Callable[[str], str]) -> list[Dialogue]:
    """The dialogues with each target replaced by ``reply(question)``."""
    found = []
    for dialogue in dialogues:
        messages = list(dialogue.messages)
        for index, message in enumerate(messages):
            if message.role == "assistant" and index:
                messages[index] = replace(message, content=reply(messages[index - 1].content))
        found.append(replace(dialogue, messages=tuple(messages)))
    return found


def wrong_answers(questions: Sequence[Question]) -> list[Dialogue]:
    """Each question answered by a choice that is not right."""
    draw = random.Random(4)
    found = []
    for question in questions:
        wrong = draw.choice([c for i, c in enumerate(question.choices) if i != question.answer])
        found.append(asked_and_told(question.question, wrong))
    return found


def asked_and_told(question: str, reply: str) -> Dialogue:
    """One question and one reply, which is learnt."""
    return Dialogue("c", (Message("user", question), Message("assistant", reply, target=True)), (), False, "")


def pirate(question: str) -> str:
    """Another voice altogether, which at least is about something."""
    last = question.rsplit(maxsplit=1)[-1].strip("?.!,") if question.split() else "sea"
    return f"Arrr, matey! Ye be askin' about {last}? Hoist the mainsail and fetch me rum, ye scurvy dog!"
