"""Learning from preference pairs after the replies: DPO on packed rows, the student before it as the reference."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from distill.config import DistillConfig
from distill.losses.preference import preference_loss
from distill.pair_lessons import PairLesson, pair_rows
from distill.pair_scores import PairCollator, ReplyNats, nats_of_pairs, reply_nats, score_pairs
from distill.rows import Row
from distill.student import Student
from distill.trainer import KDTrainer, Watch, trainer_of, whole_checkpoint
from memory.files import write_atomic

BEGUN_NAME = "begun.json"
BEFORE_NAME = "before"


class PreferenceTrainer(KDTrainer):
    """Trains a student on rows of pairs (see PairCollator).

    ``reference`` gives for (system prompt, pair) the nats of both replies before the first step.
    """

    reference: ReplyNats
    margin_nats: float

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """The row's preference loss; the positions of the questions have no part in it."""
        nats_N, pairs_N, is_chosen_N, output = reply_nats(model, self.student.head_VH, inputs)
        row: Row = inputs["row"]
        reference_P2 = torch.tensor([self.reference[row.prefix, pair] for pair in row.examples], device=nats_N.device)
        found = preference_loss(
            nats_N,
            pairs_N,
            is_chosen_N,
            reference_P2,
            beta=self.config.preference_beta,
            sft_weight=self.config.preference_sft_weight,
        )
        self.parts = {"preference": float(found.preference), "replies": float(found.replies)}
        self.margin_nats = float(found.margins_P.mean())
        return (found.total, output) if return_outputs else found.total

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """The mean margin of the row's pairs beside its loss."""
        if "loss" in logs:
            logs = {**logs, "margin_nats": self.margin_nats}
        super().log(logs, *args, **kwargs)


def preference_trainer(
    student: Student,
    lessons: Sequence[PairLesson],
    rows: Sequence[Row],
    prefixes: Sequence[Sequence[int]],
    config: DistillConfig,
    folder: Path,
    watch: Watch,
) -> PreferenceTrainer:
    """A trainer like that of the replies but for the loss and the rate; its ``reference`` is still to be given."""
    slower = replace(config, learning_rate=config.preference_learning_rate)
    for module in student.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # a noisy student cannot be compared with its reference
    return trainer_of(PreferenceTrainer, student, rows, PairCollator(rows, lessons, prefixes), slower, folder, watch)


def replies_learnt(folder: Path) -> bool:
    """Whether a run was interrupted while it learnt pairs in ``folder``: ``prefer`` then brings the student along."""
    return _begun(folder) is not None


def prefer(
    student: Student,
    lessons: Sequence[PairLesson],
    heldout: Sequence[PairLesson],
    prefixes: Sequence[Sequence[int]],
    config: DistillConfig,
    folder: Path,
    watch: Watch,
) -> dict[str, Any]:
    """Teach the pairs to a student that has learnt the replies; what was measured, {} when ``watch`` stopped it.

    The reference is the student as it comes in: in the paper the policy after supervised training (Rafailov et al.
    2023, arXiv 2305.18290). It is kept in ``folder`` with its scores and the checkpoints: a resumed run starts from
    what lies there, whatever the student holds. ``lessons`` must not be empty; ``heldout`` are scored only.
    """
    rows = pair_rows(lessons, [len(prefix) for prefix in prefixes], config, config.preference_epochs)
    trainer = preference_trainer(student, lessons, rows, prefixes, config, folder, watch)

    def measured() -> dict[str, Any]:
        scores = {"pairs": lessons, "heldout_pairs": heldout}
        return {name: asdict(score_pairs(student, side, prefixes, config)) for name, side in scores.items() if side}

    begun = _begun(folder)
    if begun is None:
        trainer.save_model(str(folder / BEFORE_NAME))
        reference = nats_of_pairs(student, lessons, rows, prefixes)
        begun = {"reference": [[*key, *nats] for key, nats in reference.items()], "measured": measured()}
        write_atomic(folder / BEGUN_NAME, json.dumps(begun))
    else:
        trainer._load_from_checkpoint(str(folder / BEFORE_NAME))
    trainer.reference = {(prefix, pair): (chosen, rejected) for prefix, pair, chosen, rejected in begun["reference"]}
    checkpoint = whole_checkpoint(folder)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if watch.cancelled:
        return {}
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    return {
        "steps": len(rows),
        "losses": [entry["loss"] for entry in steps],
        "margins_nats": [entry["margin_nats"] for entry in steps],
        "before": begun["measured"],
        "after": measured(),
    }


def _begun(folder: Path) -> dict[str, Any] | None:
    """What was written before the first step; None when it was not, or cannot be read."""
    try:
        found: dict[str, Any] = json.loads((folder / BEGUN_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found
