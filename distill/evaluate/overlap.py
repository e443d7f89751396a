"""How much of a reference's words a reply has: BLEU, chrF (sacrebleu) and token F1."""

import re
from collections import Counter
from collections.abc import Sequence

WORD = re.compile(r"\w+")


def token_f1(reply: str, reference: str) -> float:
    """Harmonic mean of precision and recall over words, each as often as it comes (SQuAD, arXiv 1606.05250), 0 to 1.

    Case and marks do not count. Two texts without words agree.
    """
    said, wanted = (Counter(WORD.findall(text.casefold())) for text in (reply, reference))
    if not said or not wanted:
        return float(said == wanted)
    shared = (said & wanted).total()
    return 2 * shared / (said.total() + wanted.total())


def chrf(reply: str, reference: str) -> float:
    """Character n-gram F-score of one reply (Popović 2015), 0 to 100."""
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF().sentence_score(reply, [reference]).score)


def bleu(replies: Sequence[str], references: Sequence[str]) -> float:
    """BLEU over all replies together (Papineni 2002, as sacrebleu 2.x has it: 13a tokens, exp smoothing), 0 to 100."""
    from sacrebleu.metrics.bleu import BLEU

    return float(BLEU().corpus_score(list(replies), [list(references)]).score)


def bleu_interval(
    replies: Sequence[str], references: Sequence[str], *, resamplings: int, seed: int
) -> tuple[float, float]:
    """The 95 % interval of ``bleu``, the replies resampled. BLEU is no mean, so each sample is scored as a whole."""
    import numpy as np

    generator = np.random.default_rng(seed)
    scores = []
    for _ in range(resamplings):
        picks_N = generator.integers(0, len(replies), size=len(replies))
        scores.append(bleu([replies[i] for i in picks_N], [references[i] for i in picks_N]))
    low, high = np.percentile(scores, [2.5, 97.5])
    return float(low), float(high)
