"""What a soft loss is made of: a teacher, sparse or dense, a divergence, a temperature and a weight."""

from dataclasses import dataclass

import torch

from distill.losses.events import Divergence, wide
from distill.losses.forward_kl import forward_kl
from distill.losses.soft_targets import SoftTargets, SparseLogProbs


@dataclass(frozen=True, slots=True)
class TeacherLogits:
    """A dense teacher whose logits (or log-probabilities) are at hand: ``logits_NV``."""

    logits_NV: torch.Tensor

    def logits(self, rows: slice) -> torch.Tensor:
        """(C, V), widened."""
        return wide(self.logits_NV[rows])

    def __len__(self) -> int:
        return len(self.logits_NV)


@dataclass(frozen=True, slots=True)
class TeacherHead:
    """A dense teacher as hidden states ``hidden_ND`` and its own ``head_VD``: its logits too exist only in chunks."""

    hidden_ND: torch.Tensor
    head_VD: torch.Tensor

    def logits(self, rows: slice) -> torch.Tensor:
        """(C, V), widened."""
        return wide(torch.mm(self.hidden_ND[rows], self.head_VD.T))

    def __len__(self) -> int:
        return len(self.hidden_ND)


@dataclass(frozen=True, slots=True)
class SoftTerm:
    """One soft loss: weight * T^2 * divergence(teacher at T, student at T); ``weight`` is a number or (N,).

    A second term with the base model as its teacher is the anchor against forgetting.
    """

    teacher: SoftTargets | TeacherLogits | TeacherHead
    divergence: Divergence = forward_kl
    temperature: float = 1.0
    weight: float | torch.Tensor = 0.5


@dataclass(frozen=True, slots=True)
class ReadyTerm:
    """A soft term made ready: the teacher at its temperature, the weight times T^2 for every row."""

    teacher: SparseLogProbs | TeacherLogits | TeacherHead
    divergence: Divergence
    b: float
    scale_N: torch.Tensor
