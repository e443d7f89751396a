"""The trainer: ``trl.SFTTrainer`` with our rows, our loss on labelled positions, checkpoints by time, and progress."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# The training shares its machine with a chat: threads that wait must sleep, not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from datasets import Dataset
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import SFTConfig, SFTTrainer

from distill.config import DistillConfig
from distill.dataset import Example
from distill.losses.cross_entropy import linear_cross_entropy
from distill.rows import IGNORED, Row, pack
from distill.student import Student

KEPT_CHECKPOINTS = 2


class KDTrainer(SFTTrainer):
    """Trains a ``Student`` on rows; one row is one step."""

    def __init__(self, *, head_VH: torch.Tensor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head_VH = head_VH

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """Mean nats of the row's labels. Only positions with a label reach the head (``logits_to_keep``)."""
        labels_S = inputs["labels"][0]
        positions_N = (labels_S != IGNORED).nonzero()[:, 0]
        output = model(
            input_ids=inputs["input_ids"],
            position_ids=inputs["position_ids"],
            logits_to_keep=positions_N,
            row_lengths=inputs["row_lengths"],
            use_cache=False,
        )
        loss = linear_cross_entropy(output.logits[0], self.head_VH, labels_S[positions_N]).mean()
        return (loss, output) if return_outputs else loss

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """A checkpoint that cannot be written (a full disk) is taken away and the training goes on without it."""
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, RuntimeError, SafetensorError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            print(f"checkpoint at step {self.state.global_step} failed: {error}", file=sys.stderr, flush=True)

    def create_model_card(self, *_args: Any, **_kwargs: Any) -> None:
        """No card in a checkpoint: the molt's report says what it is."""


class RowCollator:
    """Turns one scheduled row into tensors; the dataset holds only row numbers."""

    def __init__(self, rows: Sequence[Row], examples: Sequence[Example], prefixes: Sequence[Sequence[int]]) -> None:
        self.rows, self.examples, self.prefixes = rows, examples, prefixes

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        row = self.rows[items[0]["row"]]
        packed = pack(self.prefixes[row.prefix], [self.examples[index] for index in row.examples])
        return {
            "input_ids": torch.tensor([packed.input_ids_S]),
            "position_ids": torch.tensor([packed.position_ids_S]),
            "labels": torch.tensor([packed.labels_S]),
            "row_lengths": packed.lengths,
        }


class Watch(TrainerCallback):
    """Reports each step, checkpoints every ``checkpoint_s``, and stops at the next step with a checkpoint when told."""

    def __init__(
        self,
        checkpoint_s: float,
        on_step: Callable[[int, float, float], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self.checkpoint_s, self.on_step, self.should_stop = checkpoint_s, on_step, should_stop
        self.saved_at = self.stepped_at = time.monotonic()
        self.cancelled = False

    def on_train_begin(self, _args: Any, _state: Any, _control: Any, **_kwargs: Any) -> None:
        self.saved_at = self.stepped_at = time.monotonic()

    def on_step_end(self, _args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        now = time.monotonic()
        if self.should_stop():
            self.cancelled = True
            control.should_save = control.should_training_stop = True
        elif now - self.saved_at >= self.checkpoint_s and state.global_step < state.max_steps:
            control.should_save = True
            self.saved_at = now

    def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, Any] | None = None, **_kwargs: Any) -> None:
        if logs and "loss" in logs:
            now = time.monotonic()
            self.on_step(state.global_step, float(logs["loss"]), now - self.stepped_at)
            self.stepped_at = now


def make_trainer(
    student: Student,
    rows: Sequence[Row],
    examples: Sequence[Example],
    prefixes: Sequence[Sequence[int]],
    config: DistillConfig,
    folder: Path,
    watch: Watch,
) -> KDTrainer:
    """A trainer whose checkpoints go to ``folder``."""
    arguments = SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=1,
        num_train_epochs=1,
        max_steps=len(rows),
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant_with_warmup" if config.schedule == "constant" else config.schedule,
        warmup_steps=round(config.warmup_share * len(rows)),
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        optim="adamw_torch",
        train_sampling_strategy="sequential",
        logging_steps=1,
        save_strategy="steps",
        save_steps=10**9,  # by time, see Watch
        save_total_limit=KEPT_CHECKPOINTS,
        gradient_checkpointing=False,
        bf16=False,  # the weights themselves are in the chosen type
        fp16=False,
        seed=config.seed,
        data_seed=config.seed,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        use_cpu=not torch.cuda.is_available(),
    )
    return KDTrainer(
        head_VH=student.head_VH,
        model=student.model,
        args=arguments,
        train_dataset=Dataset.from_dict({"row": list(range(len(rows)))}),
        data_collator=RowCollator(rows, examples, prefixes),
        processing_class=_no_tokenizer(),
        callbacks=[watch],
    )


def _no_tokenizer() -> PreTrainedTokenizerFast:
    """SFTTrainer wants a tokenizer; our rows are tokens already, made by the runtime that will read them."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    words = Tokenizer(WordLevel({"<pad>": 0}, unk_token="<pad>"))  # noqa: S106 - a token's name, no password
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<pad>")  # noqa: S106


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a run, newest first."""
    found = [path for path in folder.glob("checkpoint-*") if path.name.split("-")[1].isdigit()]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]), reverse=True)


def whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that loads; damaged ones (a kill while writing, a full disk) are removed on the way."""
    for path in checkpoints(folder):
        if _loads(path):
            return path
        shutil.rmtree(path, ignore_errors=True)
    return None


def _loads(path: Path) -> bool:
    from safetensors.torch import load_file
    from transformers.trainer_callback import TrainerState

    try:
        state = TrainerState.load_from_json(str(path / "trainer_state.json"))
        weights = load_file(path / "adapter_model.safetensors")
        torch.load(path / "optimizer.pt", weights_only=True, map_location="cpu")
        torch.load(path / "scheduler.pt", weights_only=True)
    except Exception:  # whatever a damaged file makes its reader raise
        return False
    return state.global_step > 0 and all(torch.isfinite(tensor).all() for tensor in weights.values())
