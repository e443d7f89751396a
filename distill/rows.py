"""Shared-prefix packing: which conversations stand together in a row, and the row's tokens, labels and positions."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from distill.dataset import Example

IGNORED = -100


@dataclass(frozen=True, slots=True)
class Row:
    """One step's worth of training: the examples (by index) that follow one system prompt.

    ``prefix`` is the index of that prompt (0 the full identity, 1 the short one), ``epoch`` counts from 0.
    """

    prefix: int
    examples: tuple[int, ...]
    epoch: int


@dataclass(frozen=True, slots=True)
class Packed:
    """A row in tokens (S of them): the prefix once, then each conversation, positions starting anew after the prefix.

    ``lengths`` are the tokens of the prefix and of each conversation: a conversation sees the prefix and itself only,
    so training in the runtime's exact prompt costs the prefix once a row instead of once a conversation. ``labels_S``
    stand at the position that predicts them (already shifted), IGNORED elsewhere.
    """

    input_ids_S: list[int]
    position_ids_S: list[int]
    labels_S: list[int]
    lengths: tuple[int, ...]


def schedule(
    example_tokens: Sequence[int],
    prefix_tokens: Sequence[int],
    *,
    epochs: float,
    row_tokens: int,
    identity_share: float,
    seed: int,
    only_in: Sequence[int] = (),
) -> list[Row]:
    """All rows of a training in order: a function of its arguments alone, so a resumed run goes on with the same data.

    Each epoch shuffles the examples and fills rows to ``row_tokens``, prefix included; a row has at least one example
    however long. The share of identity rows is held by error diffusion, not by chance. A fractional last epoch takes
    the first part of its rows. ``only_in`` names for each example the one epoch it is shown in (-1 and (): all).
    """
    rows: list[Row] = []
    debt = 0.5  # rounds the count of identity rows to the nearest
    for epoch in range(-int(-epochs // 1)):
        shuffler = random.Random(f"{seed} {epoch}")  # noqa: S311 - order of the data, nothing secret
        order = [i for i in range(len(example_tokens)) if not only_in or only_in[i] in (-1, epoch)]
        shuffler.shuffle(order)
        filled: list[Row] = []
        while order:
            debt += identity_share
            prefix = 0 if debt >= 1 else 1
            debt -= 1 - prefix
            taken, order = _fill(order, example_tokens, row_tokens - prefix_tokens[prefix])
            filled.append(Row(prefix, taken, epoch))
        share = min(1.0, epochs - epoch)
        rows.extend(filled[: max(1, round(share * len(filled)))] if share < 1 else filled)
    return rows


def _fill(order: list[int], sizes: Sequence[int], room: int) -> tuple[tuple[int, ...], list[int]]:
    """Examples in order until the next does not fit, then those among the following few that still do."""
    taken, rest = [order[0]], order[1:]
    used = sizes[order[0]]
    looked_at = 0
    for index in list(rest):
        if used + sizes[index] <= room:
            taken.append(index)
            rest.remove(index)
            used += sizes[index]
        else:
            looked_at += 1
            if looked_at > 8:
                break
    return tuple(taken), rest


def pack(prefix: Sequence[int], examples: Sequence[Example]) -> Packed:
    """Lay a row out. The last prefix token predicts nothing: every conversation begins with markup."""
    input_ids, positions = list(prefix), list(range(len(prefix)))
    labels = [IGNORED] * len(prefix)
    for example in examples:
        size = len(example.tokens)
        input_ids.extend(example.tokens)
        positions.extend(range(len(prefix), len(prefix) + size))
        labels.extend(
            example.tokens[index + 1] if index + 1 < size and example.is_target[index + 1] else IGNORED
            for index in range(size)
        )
    return Packed(input_ids, positions, labels, (len(prefix), *(len(example.tokens) for example in examples)))
