"""How a student stands to preference pairs: the nats of both replies, packed into rows, and what they come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from distill.config import DistillConfig
from distill.losses.cross_entropy import linear_cross_entropy
from distill.losses.preference import summed
from distill.pair_lessons import PairLesson, first_meetings, pair_rows
from distill.rows import IGNORED, Row
from distill.student import Student
from distill.trainer import RowCollator

# The short prompt, under which students are compared.
SHORT = 1

ReplyNats = dict[tuple[int, int], tuple[float, float]]


class PairCollator:
    """Turns one scheduled row of pairs into tensors: after the system prompt chosen, rejected, chosen, and so on."""

    def __init__(self, rows: Sequence[Row], lessons: Sequence[PairLesson], prefixes: Sequence[Sequence[int]]) -> None:
        self.rows = rows
        examples = [example for lesson in lessons for example in lesson.examples]
        doubled = [replace(row, examples=tuple(2 * i + side for i in row.examples for side in (0, 1))) for row in rows]
        self.collate = RowCollator(doubled, examples, prefixes)

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {**self.collate(items), "row": self.rows[items[0]["row"]]}


def reply_nats(
    model: Any, head_VH: torch.Tensor, inputs: Mapping[str, Any]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Any]:
    """Cross-entropy of each reply token of a row, its pair within the row, whether it is chosen, and the output."""
    labels_S = inputs["labels"][0]
    positions_N = (labels_S != IGNORED).nonzero()[:, 0]
    output = model(
        input_ids=inputs["input_ids"],
        position_ids=inputs["position_ids"],
        logits_to_keep=positions_N,
        row_lengths=inputs["row_lengths"],
        use_cache=False,
    )
    nats_N = linear_cross_entropy(output.logits[0], head_VH, labels_S[positions_N])
    ends_E = torch.tensor(inputs["row_lengths"], device=positions_N.device).cumsum(0)
    # Piece 0 is the system prompt; a piece holds the positions from the end of the one before it.
    piece_N = torch.searchsorted(ends_E, positions_N, right=True) - 1
    return nats_N, piece_N // 2, piece_N % 2 == 0, output


def nats_of_pairs(
    student: Student, lessons: Sequence[PairLesson], rows: Sequence[Row], prefixes: Sequence[Sequence[int]]
) -> ReplyNats:
    """Nats of (chosen, rejected) for each (system prompt, pair) that stand together in some row, each once."""
    found: ReplyNats = {}
    fresh = first_meetings(rows)
    collate = PairCollator(fresh, lessons, prefixes)
    device = next(student.model.parameters()).device
    was_training = student.model.training
    student.model.eval()
    with torch.no_grad():
        for number, row in enumerate(fresh):
            inputs = collate([{"row": number}])
            inputs = {key: x.to(device) if isinstance(x, torch.Tensor) else x for key, x in inputs.items()}
            nats_N, pairs_N, is_chosen_N, _output = reply_nats(student.model, student.head_VH, inputs)
            nats_P2 = summed(nats_N, pairs_N, is_chosen_N, len(row.examples))
            for pair, (chosen, rejected) in zip(row.examples, nats_P2.tolist(), strict=True):
                found[row.prefix, pair] = (chosen, rejected)
    student.model.train(was_training)
    return found


@dataclass(frozen=True, slots=True)
class PairScore:
    """How a student stands to pairs, under the short prompt.

    ``margin_nats`` is the mean of log p(chosen) - log p(rejected), ``chosen_nats`` the mean cross-entropy of a token of
    the chosen replies, ``preferred_share`` the share of pairs whose chosen reply has the likelier tokens (on average: a
    long reply is less likely than a short one whatever it says).
    """

    pairs: int
    margin_nats: float
    chosen_nats: float
    preferred_share: float


def score_pairs(
    student: Student, lessons: Sequence[PairLesson], prefixes: Sequence[Sequence[int]], config: DistillConfig
) -> PairScore:
    """Score every pair once. Errors: ValueError when there are none."""
    if not lessons:
        raise ValueError("there are no pairs to score")
    sizes = [len(prefix) for prefix in prefixes]
    rows = pair_rows(lessons, sizes, replace(config, identity_share=0.0), epochs=1)
    nats = nats_of_pairs(student, lessons, rows, prefixes)
    margin = chosen_nats = preferred = chosen_tokens = 0.0
    for number, lesson in enumerate(lessons):
        chosen, rejected = nats[SHORT, number]
        n, m = (len(tokens) - lesson.prompt_tokens for tokens in (lesson.chosen, lesson.rejected))
        margin += rejected - chosen
        chosen_nats += chosen
        chosen_tokens += n
        preferred += chosen / n < rejected / m
    return PairScore(len(lessons), margin / len(lessons), chosen_nats / chosen_tokens, preferred / len(lessons))
