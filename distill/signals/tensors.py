"""Stored signals as the tensors that the losses take."""

from collections.abc import Sequence

import numpy as np
import torch

from distill.losses.soft_targets import SoftTargets
from distill.signals.record import Signal


def soft_targets_of(signals: Sequence[Signal]) -> SoftTargets:
    """The soft targets of replies one after the other, label by label; N is the sum of their tokens.

    Log-probabilities become float32. Errors: ValueError where there is none, where they differ in top-k or
    temperatures, or where they are likelihood alone.
    """
    forms = {(one.k, one.temperatures_B) for one in signals}
    if len(forms) != 1:
        raise ValueError(f"one top-k and one set of temperatures are needed, not {sorted(forms)}")
    ((_k, temperatures_B),) = forms
    return SoftTargets(
        ids_NK=torch.from_numpy(np.concatenate([one.ids_NK for one in signals]).astype(np.int64)),
        logprobs_NK=torch.from_numpy(np.concatenate([one.logprobs_NK for one in signals]).astype(np.float32)),
        log_partition_NB=torch.from_numpy(np.concatenate([one.log_partition_NB for one in signals])),
        temperatures_B=temperatures_B,
        label_logprob_N=torch.from_numpy(np.concatenate([one.label_logprob_N for one in signals])),
    )


def labels_of(signals: Sequence[Signal]) -> torch.Tensor:
    """The labels of replies one after the other, (N,) int64, to be compared with the student's own."""
    return torch.from_numpy(np.concatenate([one.labels_N for one in signals]).astype(np.int64))
