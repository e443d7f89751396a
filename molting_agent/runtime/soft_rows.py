"""From logits to soft targets: the top-k, the label and the log-partitions of each row, in numpy."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Logits of so many rows are worked on at once: 40 MB with a vocabulary of 150,000.
SOFT_CHUNK_ROWS = 64


def label_logprobs(logits_NV: np.ndarray, labels_N: Sequence[int]) -> list[float]:
    """log softmax(logits)[label] of each row, in float32 with the row's maximum taken out first."""
    top_N1 = logits_NV.max(axis=1, keepdims=True)
    total_N = np.log(np.exp(logits_NV - top_N1).sum(axis=1))
    chosen_N = logits_NV[np.arange(len(labels_N)), labels_N] - top_N1[:, 0]
    return (chosen_N - total_N).astype(float).tolist()


class SoftRows(NamedTuple):
    """The arrays of ``protocol.SoftScore`` that logits say."""

    label_logprob_N: NDArray[np.float32]
    ids_NK: NDArray[np.uint32]
    logprobs_NK: NDArray[np.float32]
    log_partition_NB: NDArray[np.float32]

    @classmethod
    def of(
        cls, logits_NV: NDArray[np.float32], labels_N: Sequence[int], k: int, temperatures: Sequence[float]
    ) -> "SoftRows":
        """From logits, in chunks of rows; what is summed over the vocabulary is summed in float64."""
        rows, vocabulary = logits_NV.shape
        found = cls(
            np.empty(rows, np.float32),
            np.empty((rows, k), np.uint32),
            np.empty((rows, k), np.float32),
            np.empty((rows, len(temperatures)), np.float32),
        )
        for start in range(0, rows, SOFT_CHUNK_ROWS):
            chunk = slice(start, start + SOFT_CHUNK_ROWS)
            scores_CV = logits_NV[chunk] - logits_NV[chunk].max(axis=1, keepdims=True)
            places_C = np.arange(len(scores_CV))
            total_C = np.log(np.exp(scores_CV).sum(axis=1, dtype=np.float64))
            found.label_logprob_N[chunk] = scores_CV[places_C, np.asarray(labels_N[chunk], int)] - total_C
            if k:
                ids_CK = np.argpartition(scores_CV, vocabulary - k, axis=1)[:, vocabulary - k :]
                order_CK = np.argsort(-np.take_along_axis(scores_CV, ids_CK, 1), axis=1, kind="stable")
                found.ids_NK[chunk] = ids_CK = np.take_along_axis(ids_CK, order_CK, 1)
                found.logprobs_NK[chunk] = np.take_along_axis(scores_CV, ids_CK, 1) - total_C[:, None]
            for column, temperature in enumerate(temperatures):
                b = 1 / temperature
                powers_C = np.exp(scores_CV * np.float32(b)).sum(axis=1, dtype=np.float64)
                found.log_partition_NB[chunk, column] = np.log(powers_C) - b * total_C
        return found
