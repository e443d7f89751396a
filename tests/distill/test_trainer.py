"""The trainer on a tiny random Llama: what it learns, what it leaves alone, and what a kill or a full disk costs."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from distill.attention import NAME, register
from distill.config import DistillConfig
from distill.dataset import Example
from distill.rows import pack, schedule
from distill.student import Student, adapt
from distill.trainer import KDTrainer, Watch, checkpoints, make_trainer, whole_checkpoint

CONFIG = DistillConfig(lora_rank=4, learning_rate=3e-2, checkpoint_s=0, warmup_share=0.1)
PREFIXES = ((1, 2, 3, 4, 5, 6), (1, 2))


def tiny_student(config: DistillConfig = CONFIG) -> Student:
    register()
    torch.manual_seed(3)
    shape = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,  # a frozen head of near-zero rows could not learn anything
        attn_implementation=NAME,
    )
    return adapt(LlamaForCausalLM(shape), config)


def examples() -> list[Example]:
    """Questions of two tokens; the reply counts on from the second."""
    made = []
    for first in range(10, 40):
        tokens = (7, first, *((first + i) % 64 for i in range(1, 6)))
        made.append(Example(f"c{first}", tokens, (False, False, *[True] * 5), (), ""))
    return made


def trainer(folder: Path, *, stop_after: int = 0, student: Student | None = None) -> tuple[KDTrainer, list[float]]:
    """A trainer of 16 steps and the list its losses go to; ``stop_after`` asks it to stop at that step."""
    losses: list[float] = []
    lessons = examples()
    rows = schedule(
        [len(e.tokens) for e in lessons], [6, 2], epochs=2, row_tokens=32, identity_share=0.5, seed=CONFIG.seed
    )
    watch = Watch(0, lambda _step, loss, _s: losses.append(loss), lambda: 0 < stop_after <= len(losses) + 1)
    return make_trainer(student or tiny_student(), rows, lessons, PREFIXES, CONFIG, folder, watch), losses


def weights(made: KDTrainer) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in made.model.named_parameters() if p.requires_grad}


def test_it_learns_and_leaves_the_base_as_it_was(tmp_path: Path) -> None:
    student = tiny_student()
    frozen = {name: p.clone() for name, p in student.model.named_parameters() if not p.requires_grad}
    made, losses = trainer(tmp_path, student=student)
    made.train()
    assert len(losses) == made.args.max_steps
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])
    for name, weight in student.model.named_parameters():
        if name in frozen:
            torch.testing.assert_close(weight, frozen[name], rtol=0, atol=0)


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    whole, losses = trainer(tmp_path / "whole")
    whole.train()
    stopped, first = trainer(tmp_path / "parts", stop_after=6)
    stopped.train()
    assert 0 < len(first) < len(losses)
    resumed, rest = trainer(tmp_path / "parts")
    resumed.train(resume_from_checkpoint=str(whole_checkpoint(tmp_path / "parts")))
    assert [*first, *rest] == pytest.approx(losses, rel=1e-6)
    for name, weight in weights(resumed).items():
        torch.testing.assert_close(weight, weights(whole)[name], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("damage", ["adapter_model.safetensors", "optimizer.pt", "trainer_state.json", "scheduler.pt"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path, damage: str) -> None:
    made, _losses = trainer(tmp_path, stop_after=4)
    made.train()
    newest, older = checkpoints(tmp_path)
    half = newest / damage
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    assert whole_checkpoint(tmp_path) == older
    assert not newest.exists()
    (older / damage).unlink()
    assert whole_checkpoint(tmp_path) is None


def test_a_full_disk_costs_the_checkpoint_not_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, losses = trainer(tmp_path)
    written, save = [], made.save_model

    def full_at_third(folder: str | None = None, *args: object, **kwargs: object) -> None:
        written.append(folder)
        if len(written) == 3:
            (Path(str(folder))).mkdir(parents=True, exist_ok=True)
            (Path(str(folder)) / "adapter_model.safetensors").write_bytes(b"half")
            raise OSError(28, "No space left on device")
        save(folder, *args, **kwargs)

    monkeypatch.setattr(made, "save_model", full_at_third)
    made.train()
    assert len(losses) == made.args.max_steps
    assert len(written) > 3
    assert not Path(str(written[2])).exists()
    assert whole_checkpoint(tmp_path) is not None


def test_a_packed_row_gives_the_loss_of_its_conversations_alone() -> None:
    student = tiny_student()
    lessons = examples()[:3]

    def nats(chosen: list[Example]) -> tuple[float, int]:
        packed = pack(PREFIXES[0], chosen)
        labels_S = torch.tensor(packed.labels_S)
        with torch.no_grad():
            hidden_SH = student.model(
                input_ids=torch.tensor([packed.input_ids_S]),
                position_ids=torch.tensor([packed.position_ids_S]),
                row_lengths=packed.lengths,
            ).logits[0]
        logits_SV = hidden_SH @ student.head_VH.T
        return torch.nn.functional.cross_entropy(logits_SV, labels_S, reduction="sum").item(), len(packed.labels_S)

    together, _size = nats(lessons)
    assert together == pytest.approx(sum(nats([lesson])[0] for lesson in lessons), rel=1e-4)
