"""Puts what teachers say of single examples together for a row, in the order of its label positions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from distill.losses.byte_alignment import Alignment
from distill.losses.soft_targets import SoftTargets
from distill.objective import Pieces, RowSignals, Soft


@dataclass(frozen=True, slots=True)
class ExampleSignals:
    """One example: how many labels it has, what it is, and what each teacher says of them; None: was not asked.

    ``pieces`` has an (alignment, log-probabilities of the teacher's tokens) for each reply.
    """

    labels: int
    is_rationale: bool = False
    soft: SoftTargets | None = None
    anchor: SoftTargets | None = None
    pieces: tuple[tuple[Alignment, torch.Tensor], ...] | None = None


def row_signals(
    signals: Mapping[int, ExampleSignals], examples: Sequence[int], device: torch.device | str = "cpu"
) -> RowSignals:
    """The signals of a row with these examples; all None where there are none."""
    if not signals:
        return RowSignals()
    found = [signals[index] for index in examples]
    pieces = None
    if any(signal.pieces is not None for signal in found):
        joined = Pieces.join([part for signal in found for part in _pieces(signal)])
        pieces = Pieces(joined.student_N.to(device), joined.teacher_logprobs_X.to(device))
    rationale = None
    if any(signal.is_rationale for signal in signals.values()):
        flags = [torch.full((signal.labels,), signal.is_rationale) for signal in found]
        rationale = torch.cat(flags).to(device)
    return RowSignals(
        soft=_joined([signal.soft for signal in found], found, device),
        anchor=_joined([signal.anchor for signal in found], found, device),
        pieces=pieces,
        is_rationale_N=rationale,
    )


def _pieces(signal: ExampleSignals) -> Sequence[tuple[Alignment, torch.Tensor]]:
    if signal.pieces is not None:
        return signal.pieces
    return [(Alignment((), (-1,) * signal.labels, 0), torch.zeros(0))]


def _joined(
    parts: Sequence[SoftTargets | None], signals: Sequence[ExampleSignals], device: torch.device | str
) -> Soft | None:
    like = next((part for part in parts if part is not None), None)
    if like is None:
        return None
    whole = [
        part if part is not None else unknown(signal.labels, like) for part, signal in zip(parts, signals, strict=True)
    ]
    known = [torch.full((signal.labels,), part is not None) for part, signal in zip(parts, signals, strict=True)]
    return Soft(concatenated(whole).to(device), torch.cat(known).to(device))


def concatenated(parts: Sequence[SoftTargets]) -> SoftTargets:
    """One after the other; all have the same k and temperatures. Errors: ValueError where they differ."""
    first = parts[0]
    if any(part.temperatures_B != first.temperatures_B for part in parts):
        raise ValueError("soft targets of different temperatures cannot stand in one row: score them anew")
    return SoftTargets(
        torch.cat([part.ids_NK for part in parts]),
        torch.cat([part.logprobs_NK for part in parts]),
        torch.cat([part.log_partition_NB for part in parts]),
        first.temperatures_B,
        torch.cat([part.label_logprob_N for part in parts]),
    )


def unknown(positions: int, like: SoftTargets) -> SoftTargets:
    """Places of a teacher that was not asked: valid numbers that get a weight of zero."""
    k = like.ids_NK.shape[1]
    share = -float(torch.log(torch.tensor(2.0 * k)))
    log_partition = [(1 / t - 1) * share for t in like.temperatures_B]
    return SoftTargets(
        torch.arange(k).expand(positions, k).clone(),
        like.logprobs_NK.new_full((positions, k), share),
        like.log_partition_NB.new_tensor(log_partition).expand(positions, len(log_partition)).clone(),
        like.temperatures_B,
        like.label_logprob_N.new_zeros(positions),
    )
