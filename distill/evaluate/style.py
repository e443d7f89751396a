"""Whose voice is it: a classifier that tells the teacher's replies from the base model's, asked about the student's.

It learns from conversations of the training side alone: the teacher's logged replies there against what the untrained
base says to the same prompts. Then it reads the student's replies to held-out prompts.
"""

import re
from collections.abc import Sequence
from typing import Any

WORD = re.compile(r"\w+|[^\w\s]")

# The base is cut after some tokens and the teacher is not: of both only the beginning is read.
OPENING_WORDS = 40


def opening(text: str) -> str:
    """The first words of a reply on one line: neither its length nor its layout may tell who spoke."""
    return " ".join(text.split()[:OPENING_WORDS])


class Voice:
    """The fitted classifier: logistic regression over TF-IDF of words (1-2) and characters (2-4, within words).

    Errors: ValueError when one of the sides has no words.
    """

    def __init__(self, teacher: Sequence[str], base: Sequence[str], *, seed: int) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline, make_union

        features = make_union(
            TfidfVectorizer(ngram_range=(1, 2), tokenizer=WORD.findall, token_pattern=None, sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True),
        )
        # Balanced: the base may have left prompts unanswered.
        regression = LogisticRegression(C=10.0, max_iter=1000, class_weight="balanced", random_state=seed)
        self._model: Any = make_pipeline(features, regression)
        self._model.fit([opening(text) for text in (*teacher, *base)], [1] * len(teacher) + [0] * len(base))

    def probabilities(self, replies: Sequence[str]) -> list[float]:
        """For each reply the probability that the teacher said it; over a half it passes for his."""
        if not replies:
            return []
        return [float(p) for p in self._model.predict_proba([opening(text) for text in replies])[:, 1]]


def auc(teacher: Sequence[float], student: Sequence[float]) -> float:
    """Area under the ROC curve of "the teacher said it": 1 tells all apart, 0.5 is indistinguishable.

    Under 0.5 the student's replies look more like the teacher than the teacher's own. Both need at least one value.
    """
    from sklearn.metrics import roc_auc_score

    labels = [1] * len(teacher) + [0] * len(student)
    return float(roc_auc_score(labels, [*teacher, *student]))


def auc_interval(
    teacher: Sequence[float], student: Sequence[float], *, resamplings: int, seed: int
) -> tuple[float, float]:
    """The 95 % interval of ``auc``, the prompts resampled: both replies to a prompt stay together."""
    import numpy as np

    t_N, s_N = np.asarray(teacher), np.asarray(student)
    generator = np.random.default_rng(seed)
    picks_RN = generator.integers(0, len(t_N), size=(resamplings, len(t_N)))
    # AUC is the share of pairs in the right order, ties by half (Mann-Whitney): all samples in one product.
    order_NN = (t_N[:, None] > s_N[None, :]) + 0.5 * (t_N[:, None] == s_N[None, :])
    weights_RN = np.stack([np.bincount(picks_N, minlength=len(t_N)) for picks_N in picks_RN]) / len(t_N)
    areas_R = np.einsum("rt,ts,rs->r", weights_RN, order_NN, weights_RN)
    low, high = np.percentile(areas_R, [2.5, 97.5])
    return float(low), float(high)
