"""Routing by trained keys: one key a teacher, near the questions it was right about and far from those it was not."""

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from distill.purify.protocol import Case, Lesson, Purified, choose, teachers_in
from distill.purify.ranking import tells_apart
from memory.errors import UsageError

WIDTH = 64
TEMPERATURE = 0.1
STEPS = 200
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 1e-2


class Keys:
    """P(i | q) = softmax_i(cos(W q, k_i) / temperature), W [64, D] and the keys k_i [64] trained together.

    The loss is InfoNCE (arXiv 1807.03748) as RouterDC contrasts teachers (arXiv 2409.19886): for each right teacher p,
    -log(exp(s_p) / (exp(s_p) + sum over wrong teachers of exp(s_n))), the mean over a question's right ones and then
    over questions. RouterDC's second loss, between questions, is left out: the embedder has those near each other
    already. Only lessons with a right and a wrong teacher teach it; UsageError where there are none.
    """

    def __init__(self, lessons: Sequence[Lesson], seed: int = 0) -> None:
        self.teachers = teachers_in(lessons)
        judged = [lesson.case for lesson in lessons if tells_apart(lesson.case)]
        if not judged:
            raise UsageError(
                "no question has a right and a wrong teacher, so keys learn nothing; give --answers FILE, or take "
                "--method random"
            )
        questions_ND = torch.stack([torch.as_tensor(case.vector, dtype=torch.float32) for case in judged])
        right_NT, wrong_NT = (
            torch.tensor([[_said(case, name) is value for name in self.teachers] for case in judged])
            for value in (True, False)
        )
        draws = torch.Generator().manual_seed(seed)
        width = questions_ND.shape[1]
        self._projection_KD = (torch.randn(WIDTH, width, generator=draws) / width**0.5).requires_grad_()
        self._keys_TK = torch.randn(len(self.teachers), WIDTH, generator=draws).requires_grad_()
        weights = [self._projection_KD, self._keys_TK]
        optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        for _step in range(STEPS):
            optimizer.zero_grad()
            torch.autograd.backward(contrast(self._similar(questions_ND), right_NT, wrong_NT))
            optimizer.step()

    def purify(self, case: Case) -> Purified:
        """See ``Purifier.purify``; the scores are probabilities."""
        with torch.no_grad():
            (found,) = self._similar(torch.as_tensor(case.vector, dtype=torch.float32)[None]).softmax(1)
        return choose(case, dict(zip(self.teachers, found.tolist(), strict=True)))

    def _similar(self, questions_ND: torch.Tensor) -> torch.Tensor:
        """Cosine over temperature [N, T]."""
        projected_NK = F.normalize(questions_ND @ self._projection_KD.T, dim=1)
        return projected_NK @ F.normalize(self._keys_TK, dim=1).T / TEMPERATURE


def contrast(scores_NT: torch.Tensor, right_NT: torch.Tensor, wrong_NT: torch.Tensor) -> torch.Tensor:
    """InfoNCE of each right teacher against all wrong ones of its question, nats; see ``Keys``.

    ``right_NT`` and ``wrong_NT`` are boolean; a teacher in neither does not count. Every row needs one of each.
    """
    wrong_N = scores_NT.masked_fill(~wrong_NT, -torch.inf).logsumexp(1, keepdim=True)
    nats_NT = torch.logaddexp(scores_NT, wrong_N) - scores_NT
    return ((nats_NT * right_NT).sum(1) / right_NT.sum(1)).mean()


def _said(case: Case, name: str) -> bool | None:
    return case.right[case.teachers.index(name)] if name in case.teachers else None
