"""Selection by reinforcement: a policy draws a teacher a question and learns from what the student made of it."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from distill.purify.protocol import Case, Lesson, Purified, choose, teachers_in
from memory.errors import TrainingError
from memory.files import write_atomic

LEARNING_RATE = 1e-2
EPOCHS = 150
ENTROPY = 0.01


class Policy:
    """pi(i | s) = softmax_i(w_i s_i + b_i) over the teachers who answered, s_i = [E(q), E(r_i) c_i, c_i].

    E are embeddings; c_i is 1 where the teacher's answer is right, 0 where it is wrong and 0.5 where nobody knows.
    arXiv 2602.01064 scores each teacher by a sigmoid of the same sum and takes the best; the softmax makes these
    scores one distribution to draw from, so that REINFORCE (Williams 1992) applies as it stands. The baseline is a
    linear function of E(q), fitted beside the policy to the rewards: questions are hard or not whoever explains them.

    A trainer alternates: ``choose(states)``, train on what was chosen, ``update(states, chosen, rewards)`` with the
    rewards -(L_predict + L_explain) of the student. The optimiser's state is not saved.
    """

    def __init__(self, teachers: Sequence[str], dimensions: int, seed: int = 0) -> None:
        self.teachers = tuple(teachers)
        self._draws = torch.Generator().manual_seed(seed)
        self._dimensions = dimensions
        self._weights_TS = torch.zeros(len(self.teachers), 2 * dimensions + 1, requires_grad=True)
        self._bias_T = torch.zeros(len(self.teachers), requires_grad=True)
        self._value_D = torch.zeros(dimensions, requires_grad=True)
        self._level = torch.zeros((), requires_grad=True)
        self._tensors = [self._weights_TS, self._bias_T, self._value_D, self._level]
        self._optimizer = torch.optim.Adam(self._tensors, lr=LEARNING_RATE)

    def probabilities(self, states: Sequence[Case]) -> torch.Tensor:
        """Of each teacher for each state [N, T], 0 where it did not answer."""
        with torch.no_grad():
            return self._log_probabilities(*self._tensors_of(states)).exp()

    def choose(self, states: Sequence[Case], *, greedy: bool = False) -> list[str]:
        """One teacher a state, drawn from the policy; ``greedy`` takes the likeliest."""
        chances_NT = self.probabilities(states)
        drawn_N = chances_NT.argmax(1) if greedy else torch.multinomial(chances_NT, 1, generator=self._draws)[:, 0]
        return [self.teachers[int(place)] for place in drawn_N]

    def update(self, states: Sequence[Case], chosen: Sequence[str], rewards: Sequence[float]) -> None:
        """One step up the expected reward: the gradient of mean((reward - baseline) log pi) and a little entropy.

        Advantages are divided by their spread, so that the step does not depend on the rewards' unit.
        """
        states_NTS, there_NT = self._tensors_of(states)
        rewards_N = torch.tensor(list(rewards), dtype=torch.float32)
        chosen_N = torch.tensor([self.teachers.index(name) for name in chosen])
        self._optimizer.zero_grad()
        expected_N = states_NTS[:, 0, : self._dimensions] @ self._value_D + self._level
        advantages_N = (rewards_N - expected_N).detach()
        if len(advantages_N) > 1:
            advantages_N = advantages_N / advantages_N.std().clamp_min(1e-6)
        log_NT = self._log_probabilities(states_NTS, there_NT)
        entropy = -(log_NT.exp() * log_NT.masked_fill(~there_NT, 0)).sum(1).mean()
        gain = (advantages_N * log_NT.gather(1, chosen_N[:, None])[:, 0]).mean() + ENTROPY * entropy
        torch.autograd.backward(((expected_N - rewards_N) ** 2).mean() - gain)
        self._optimizer.step()

    def purify(self, case: Case) -> Purified:
        """See ``Purifier.purify``; the scores are the policy's probabilities."""
        (found,) = self.probabilities([case])
        return choose(case, dict(zip(self.teachers, found.tolist(), strict=True)))

    def save(self, path: Path) -> None:
        """Write the policy as numpy arrays (.npz, no pickle)."""
        written = io.BytesIO()
        arrays = {f"weights_{place}": tensor.detach().numpy() for place, tensor in enumerate(self._tensors)}
        np.savez(written, teachers=np.array(self.teachers), dimensions=self._dimensions, **arrays)
        write_atomic(path, written.getvalue())

    @classmethod
    def load(cls, path: Path, seed: int = 0) -> "Policy":
        """A policy as it was saved. Errors: TrainingError where the file is none."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                policy = cls([str(name) for name in arrays["teachers"]], int(arrays["dimensions"]), seed)
                with torch.no_grad():
                    for place, tensor in enumerate(policy._tensors):
                        tensor.copy_(torch.from_numpy(arrays[f"weights_{place}"]))
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            raise TrainingError(f"{path}: no policy can be read ({error}); train one anew") from error
        return policy

    def _log_probabilities(self, states_NTS: torch.Tensor, there_NT: torch.Tensor) -> torch.Tensor:
        scores_NT = (states_NTS * self._weights_TS).sum(2) + self._bias_T
        return scores_NT.masked_fill(~there_NT, -torch.inf).log_softmax(1)

    def _tensors_of(self, states: Sequence[Case]) -> tuple[torch.Tensor, torch.Tensor]:
        """The states [N, T, 2 D + 1] and whether each teacher answered [N, T]."""
        size = self._dimensions
        states_NTS = torch.zeros(len(states), len(self.teachers), 2 * size + 1)
        there_NT = torch.zeros(len(states), len(self.teachers), dtype=torch.bool)
        for row, case in enumerate(states):
            states_NTS[row, :, :size] = torch.as_tensor(case.vector)
            for place, name in enumerate(case.teachers):
                if name not in self.teachers:
                    continue
                teacher, right = self.teachers.index(name), case.right[place]
                share = 0.5 if right is None else float(right)
                states_NTS[row, teacher, size : 2 * size] = share * torch.as_tensor(case.rationale_vectors[place])
                states_NTS[row, teacher, -1] = share
                there_NT[row, teacher] = True
        return states_NTS, there_NT


def train_policy(lessons: Sequence[Lesson], seed: int = 0) -> Policy:
    """A policy trained on the lessons' rewards, which stand for a student that is not trained meanwhile."""
    policy = Policy(teachers_in(lessons), len(lessons[0].case.vector), seed)
    cases = [lesson.case for lesson in lessons]
    reward_of = [dict(zip(lesson.case.teachers, lesson.rewards, strict=True)) for lesson in lessons]
    for _epoch in range(EPOCHS):
        chosen = policy.choose(cases)
        policy.update(cases, chosen, [known[name] for known, name in zip(reward_of, chosen, strict=True)])
    return policy
