"""Routing by Plackett-Luce: the teachers' strengths for a question, from how they ranked on questions like it."""

from collections.abc import Sequence
from itertools import islice, permutations, product
from typing import Any

import numpy as np

from distill.purify.protocol import Case, Lesson, Purified, choose, teachers_in

SHARPNESS = (1.0, 1e2, 1e4, 1e6, 1e8, 1e10, 1e12)
"""The values of gamma that are tried; 1 weighs all questions alike."""
MOST_ORDERS = 120
PRIOR = 0.1
STEPS = 500
TOLERANCE = 1e-6


class PlackettLuce:
    """P(i first) = g_i / sum_j g_j, and of an order i_1 > i_2 > ...: prod_t g_(i_t) / sum_(s >= t) g_(i_s).

    For a question q the strengths g maximise the log-likelihood of the lessons' orders, each weighted by
    gamma^(cos(q, question) - the largest cos), the cosine between embeddings less their mean: the similarity weights of
    RouteLLM (arXiv 2406.18665) as arXiv 2602.01064 uses them. Found by the MM algorithm of Hunter 2004, which climbs at
    every step. Where several are equal, each of their orders counts in part. ``PRIOR`` wins and losses against a
    teacher of strength 1 keep a teacher who never won above zero. gamma is the one of ``SHARPNESS`` under which each
    lesson is likeliest by all the others.
    """

    def __init__(self, lessons: Sequence[Lesson]) -> None:
        self.teachers = teachers_in(lessons)
        index = {name: place for place, name in enumerate(self.teachers)}
        orders: dict[tuple[int, ...], int] = {}
        shares: list[dict[int, float]] = []
        for lesson in lessons:
            found = _orders([[index[name] for name in tier] for tier in lesson.tiers])
            shares.append({orders.setdefault(order, len(orders)): 1 / len(found) for order in found})
        self._share_NR = np.zeros((len(lessons), len(orders)))
        for row, share in enumerate(shares):
            self._share_NR[row, list(share)] = list(share.values())
        stages = [(row, order[t:]) for order, row in orders.items() for t in range(len(order) - 1)]
        self._order_S = np.array([row for row, _left in stages], int)
        self._left_ST = np.zeros((len(stages), len(self.teachers)))
        self._first_ST = np.zeros_like(self._left_ST)
        for stage, (_row, left) in enumerate(stages):
            self._left_ST[stage, list(left)] = 1
            self._first_ST[stage, left[0]] = 1
        vectors_ND = np.stack([lesson.case.vector for lesson in lessons]).astype(float)
        self._middle_D = vectors_ND.mean(0)
        self._vectors_ND = self._centred(vectors_ND)
        self.sharpness = self._sharpest()

    def purify(self, case: Case) -> Purified:
        """See ``Purifier.purify``; the scores are the probabilities of standing first."""
        (strengths,) = self._fit(self._weights(self._centred(case.vector[None]), self.sharpness))
        return choose(case, dict(zip(self.teachers, (strengths / strengths.sum()).tolist(), strict=True)))

    def _centred(self, vectors_MD: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Without what all questions have in common, being questions: what is left tells their subjects apart."""
        apart_MD = vectors_MD - self._middle_D
        return apart_MD / np.maximum(np.linalg.norm(apart_MD, axis=1, keepdims=True), 1e-9)

    def _weights(self, vectors_MD: "np.ndarray[Any, Any]", sharpness: float, *, own: bool = True) -> Any:
        """The weight of each order for each question [M, R]; ``own`` False leaves each lesson's own question out."""
        cosine_MN = vectors_MD @ self._vectors_ND.T
        if not own:
            np.fill_diagonal(cosine_MN, -np.inf)
        near_MN = np.exp(np.log(sharpness) * (np.maximum(cosine_MN, -1) - cosine_MN.max(1, keepdims=True)))
        return (near_MN * np.isfinite(cosine_MN)) @ self._share_NR

    def _fit(self, weights_MR: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Strengths [M, T] for M questions at once."""
        weights_MS = weights_MR[:, self._order_S]
        wins_MT = weights_MS @ self._first_ST + PRIOR
        strengths_MT = np.ones_like(wins_MT)
        for _step in range(STEPS):
            before_MT = strengths_MT
            met_MT = (weights_MS / (before_MT @ self._left_ST.T)) @ self._left_ST + 2 * PRIOR / (before_MT + 1)
            strengths_MT = wins_MT / met_MT
            if np.abs(strengths_MT / before_MT - 1).max() < TOLERANCE:
                break
        return strengths_MT

    def _sharpest(self) -> float:
        if len(self._vectors_ND) < 2 or not len(self._order_S):
            return 1.0
        return max(SHARPNESS, key=lambda sharpness: (self._left_out(sharpness), -sharpness))

    def _left_out(self, sharpness: float) -> float:
        """Log-likelihood of every lesson's orders under strengths fitted to the other lessons."""
        strengths_NT = self._fit(self._weights(self._vectors_ND, sharpness, own=False))
        log_NS = np.log(strengths_NT @ self._first_ST.T) - np.log(strengths_NT @ self._left_ST.T)
        return float((log_NS * self._share_NR[:, self._order_S]).sum())


def _orders(tiers: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Every order that agrees with the tiers; of very many the first ``MOST_ORDERS``."""
    ways = product(*(permutations(tier) for tier in tiers))
    return [tuple(teacher for tier in way for teacher in tier) for way in islice(ways, MOST_ORDERS)]
