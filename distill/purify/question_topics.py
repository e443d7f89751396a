"""What the questions are about: k-means over their embeddings, each topic named by its most central question."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_TOPICS = 8
QUESTIONS_A_TOPIC = 8
NAME_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Topics:
    """``of`` gives each question's topic, ``names`` the question that is nearest to each centre, cut to a line."""

    of: tuple[int, ...]
    names: tuple[str, ...]


def topics_of(questions: Sequence[str], vectors_ND: "np.ndarray[Any, Any]", count: int = 0) -> Topics:
    """Topics of N questions by vectors of length 1 [N, D], the largest first; one topic where there are too few.

    ``count`` is how many; 0 takes one for each eight questions, at most eight. The start is fixed: the same questions
    give the same topics. k-means as Lloyd 1982 with the seeding of Arthur and Vassilvitskii 2007 (scikit-learn).
    """
    wanted = min(count or min(MOST_TOPICS, len(questions) // QUESTIONS_A_TOPIC), len(np.unique(vectors_ND, axis=0)))
    if wanted < 2:
        labels_N, centres_KD = np.zeros(len(questions), int), vectors_ND.mean(0, keepdims=True)
    else:
        from sklearn.cluster import KMeans

        fitted = KMeans(wanted, n_init=10, random_state=0).fit(vectors_ND)
        labels_N, centres_KD = fitted.labels_, fitted.cluster_centers_
    by_size = sorted(range(len(centres_KD)), key=lambda k: (-int((labels_N == k).sum()), k))
    place = {topic: rank for rank, topic in enumerate(by_size)}
    nearest = [int(np.where(labels_N == k, vectors_ND @ centres_KD[k], -np.inf).argmax()) for k in by_size]
    return Topics(tuple(place[int(k)] for k in labels_N), tuple(_line(questions[index]) for index in nearest))


def _line(question: str) -> str:
    words = " ".join(question.split())
    return words if len(words) <= NAME_CHARACTERS else words[: NAME_CHARACTERS - 1].rstrip() + "…"
