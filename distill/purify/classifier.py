"""Routing by a classifier: logistic regression from the question's embedding to the teacher who answers it best."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.purify.protocol import Case, Lesson, Purified, choose, teachers_in

INVERSE_PENALTY = 10.0
"""C of the ridge penalty; vectors of length 1 want a weak one."""


class Classifier:
    """P(i | q) = softmax_i(w_i q + b_i), fitted to the best tier of each lesson; equals share its weight.

    The PLM classifier of arXiv 2602.01064 with the memory's embedder, kept as it is, in place of a tuned encoder.
    """

    def __init__(self, lessons: Sequence[Lesson]) -> None:
        self.teachers = teachers_in(lessons)
        rows = [(lesson.case.vector, name, 1 / len(lesson.tiers[0])) for lesson in lessons for name in lesson.tiers[0]]
        names = sorted({name for _vector, name, _weight in rows})
        self._only = names[0] if len(names) == 1 else ""
        self._model: Any = None
        if not self._only:
            from sklearn.linear_model import LogisticRegression

            vectors_ND, best_N, weights_N = (list(column) for column in zip(*rows, strict=True))
            self._model = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)
            self._model.fit(np.stack(vectors_ND), best_N, sample_weight=weights_N)

    def purify(self, case: Case) -> Purified:
        """See ``Purifier.purify``; the scores are probabilities, 0 for a teacher who was never best."""
        scores = dict.fromkeys(self.teachers, 0.0)
        if self._model is None:
            scores[self._only] = 1.0
        else:
            (found,) = self._model.predict_proba(case.vector[None])
            scores.update(zip(self._model.classes_.tolist(), found.tolist(), strict=True))
        return choose(case, scores)
