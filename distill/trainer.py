"""The trainer: ``trl.SFTTrainer`` with our rows, our loss on labelled positions, checkpoints by time, and progress."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

# The training shares its machine with a chat: threads that wait must sleep, not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from datasets import Dataset
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import SFTConfig, SFTTrainer

from distill.arguments import training_arguments
from distill.config import DistillConfig
from distill.dataset import Example
from distill.layer_teacher import LayerTeacher
from distill.objective import row_loss
from distill.processes import ALONE, Processes
from distill.row_signals import ExampleSignals, row_signals
from distill.rows import IGNORED, Row, pack
from distill.student import Student

HINTS_NAME = "hints.pt"


class KDTrainer(SFTTrainer):
    """Trains a ``Student`` on rows; one row is one step.

    ``signals`` are what teachers say of each example ({} : the replies alone teach), ``layers`` a teacher whose layers
    are matched. Each part of the loss is logged under its name beside ``loss``; ``label_nats_N`` has the last row's
    cross-entropy at each of its labels.
    """

    def __init__(
        self,
        *,
        student: Student,
        config: DistillConfig,
        signals: Mapping[int, ExampleSignals],
        layers: LayerTeacher | None = None,
        **kwargs: Any,
    ) -> None:
        self.student, self.config, self.signals, self.layers = student, config, signals, layers
        self.parts: dict[str, float] = {}
        self.label_nats_N = torch.zeros(0)
        super().__init__(**kwargs)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """The row's loss. Only positions with a label reach the head (``logits_to_keep``)."""
        labels_S = inputs["labels"][0]
        positions_N = (labels_S != IGNORED).nonzero()[:, 0]
        output = model(
            input_ids=inputs["input_ids"],
            position_ids=inputs["position_ids"],
            logits_to_keep=positions_N,
            row_lengths=inputs["row_lengths"],
            output_hidden_states=self.layers is not None and self.config.hidden_weight > 0,
            use_cache=False,
        )
        found = row_loss(
            output.logits[0],
            self.student.head_VH.to(output.logits.device),
            labels_S[positions_N],
            row_signals(self.signals, inputs["examples"], positions_N.device),
            self.config,
            step=self.state.global_step,
            steps=max(1, self.state.max_steps),
        )
        total, self.parts, self.label_nats_N = found.total, found.parts, found.label_nats_N
        if self.layers is not None:
            matched = self.layers.losses(self.student.base, output.hidden_states or (), inputs)
            total = total + matched.total
            self.parts |= {name: float(value) for name, value in matched.parts.items()}
        if self.args.world_size > 1:
            # Gradients are averaged over the processes: each row counts by its share of the step's labels.
            total = total * (len(positions_N) * self.args.world_size / num_items_in_batch)
        return (total, output) if return_outputs else total

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Every part of the loss beside the whole."""
        if "loss" in logs and len(self.parts) > 1:
            logs = {**logs, **{f"loss_{name}": value for name, value in self.parts.items()}}
        super().log(logs, *args, **kwargs)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """A checkpoint that cannot be written (a full disk) is taken away and the training goes on without it."""
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            if self.layers is not None:
                torch.save(self.layers.projections.state_dict(), folder / HINTS_NAME)
        except (OSError, RuntimeError, SafetensorError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            print(f"checkpoint at step {self.state.global_step} failed: {error}", file=sys.stderr, flush=True)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self.layers is not None:
            self.layers.projections.load_state_dict(
                torch.load(Path(resume_from_checkpoint) / HINTS_NAME, weights_only=True)
            )

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
            "examples": row.examples,
        }


class Watch(TrainerCallback):
    """Reports each step, checkpoints every ``checkpoint_s``, and stops at the next step with a checkpoint when told."""

    def __init__(
        self,
        checkpoint_s: float,
        on_step: Callable[[int, float, float], None],
        should_stop: Callable[[], bool],
        processes: Processes = ALONE,
    ) -> None:
        self.checkpoint_s, self.on_step, self.should_stop = checkpoint_s, on_step, should_stop
        self.processes = processes
        self.saved_at = self.stepped_at = time.monotonic()
        self.cancelled = False

    def on_train_begin(self, _args: Any, _state: Any, _control: Any, **_kwargs: Any) -> None:
        self.saved_at = self.stepped_at = time.monotonic()

    def on_step_end(self, _args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        now = time.monotonic()
        # All processes save and stop at one step, or they would wait for one another.
        stop, due = self.processes.any(self.should_stop(), now - self.saved_at >= self.checkpoint_s)
        if stop:
            self.cancelled = True
            control.should_save = control.should_training_stop = True
        elif due and state.global_step < state.max_steps:
            control.should_save = True
            self.saved_at = now

    def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, Any] | None = None, **_kwargs: Any) -> None:
        if logs and "loss" in logs:
            now = time.monotonic()
            self.on_step(state.global_step, float(logs["loss"]), now - self.stepped_at)
            self.stepped_at = now


Kind = TypeVar("Kind", bound=KDTrainer)


def make_trainer(
    student: Student,
    rows: Sequence[Row],
    examples: Sequence[Example],
    prefixes: Sequence[Sequence[int]],
    config: DistillConfig,
    folder: Path,
    watch: Watch,
    signals: Mapping[int, ExampleSignals] | None = None,
    layers: LayerTeacher | None = None,
) -> KDTrainer:
    """A trainer whose checkpoints go to ``folder``; one row is one step of each of the watch's processes."""
    collate = RowCollator(rows, examples, prefixes)
    return trainer_of(KDTrainer, student, rows, collate, config, folder, watch, signals, layers)


def trainer_of(
    kind: type[Kind],
    student: Student,
    rows: Sequence[Row],
    collate: Callable[[Sequence[dict[str, Any]]], dict[str, Any]],
    config: DistillConfig,
    folder: Path,
    watch: Watch,
    signals: Mapping[int, ExampleSignals] | None = None,
    layers: LayerTeacher | None = None,
) -> Kind:
    """A trainer of a kind, whose rows ``collate`` turns into tensors; see ``make_trainer``."""
    steps = watch.processes.steps(len(rows))
    if layers is not None and list(layers.projections.parameters()):
        # A submodule of the student: so the optimizer trains them, and they are thrown away with it.
        student.model.add_module("hint_projections", layers.projections)
    arguments = SFTConfig(
        **training_arguments(config, folder, steps=steps, learning_rate=config.learning_rate),
        per_device_train_batch_size=1,
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        average_tokens_across_devices=True,
        # The head and the hint projections are used by the loss, beside the model: they only look unused to it.
        ddp_find_unused_parameters=False,
    )
    return kind(
        student=student,
        config=config,
        signals=signals or {},
        layers=layers,
        model=student.model,
        args=arguments,
        train_dataset=Dataset.from_dict({"row": list(range(len(rows)))}),
        data_collator=collate,
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
        adapter = path / "adapter_model.safetensors"
        # A student that is trained whole has its weights in transformers' own file.
        weights = load_file(adapter if adapter.exists() else path / "model.safetensors")
        torch.load(path / "optimizer.pt", weights_only=True, map_location="cpu")
        torch.load(path / "scheduler.pt", weights_only=True)
    except Exception:  # whatever a damaged file makes its reader raise
        return False
    return state.global_step > 0 and all(torch.isfinite(tensor).all() for tensor in weights.values())
