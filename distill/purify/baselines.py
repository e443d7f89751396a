"""What a purifier has to beat: a teacher drawn at random, and the one teacher who is best most often."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from distill.purify.protocol import Case, Lesson, Purified, choose


class Random:
    """A teacher drawn by the hash of seed and question: the same question always gets the same one."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def purify(self, case: Case) -> Purified:
        """See ``Purifier.purify``; there are no scores."""
        digest = hashlib.sha256(f"{self._seed} {case.question}".encode()).digest()
        place = int.from_bytes(digest[:8]) % len(case.teachers)
        return Purified(case.teachers[place], case.rationales[place])


class Majority:
    """The teacher who stands in the best tier of most lessons, whatever is asked; equals share a lesson."""

    def __init__(self, lessons: Sequence[Lesson]) -> None:
        self._scores: dict[str, float] = defaultdict(float)
        for lesson in lessons:
            for name in lesson.tiers[0]:
                self._scores[name] += 1 / (len(lesson.tiers[0]) * len(lessons))

    def purify(self, case: Case) -> Purified:
        """See ``Purifier.purify``; the scores are the shares of lessons won."""
        return choose(case, self._scores)
