"""How far two models agree on the same text (pure): the cosine of their logits, KL divergence, the likeliest token."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Agreement:
    """``cosine`` of the logits and ``kl_nats`` of the reference from the other, means over positions; ``same_top``:
    share of positions with the same likeliest token; ``reference_top``: ... (see ``agreement``).
    """

    cosine: float
    kl_nats: float
    same_top: float
    positions: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def text(self) -> str:
        """One clause for a report."""
        return (
            f"cosine of the logits {self.cosine:.5f}, KL {self.kl_nats:.5f} nats, same likeliest token at "
            f"{100 * self.same_top:.1f} % of {self.positions} positions"
        )


def agreement(reference_NV: "np.ndarray", other_NV: "np.ndarray") -> Agreement:
    """Compare the logits of two models after the same N tokens.

    The cosine is taken with each row's mean out: a constant added to all logits changes no probability. KL(reference ||
    other) in nats. Errors: ValueError when the shapes differ; logits that are not finite agree with nothing.
    """
    import numpy as np

    if reference_NV.shape != other_NV.shape:
        raise ValueError(f"logits of {reference_NV.shape} and {other_NV.shape} are not of the same text")
    cosine_N, kl_N = [], []
    for reference_V, other_V in zip(reference_NV, other_NV, strict=True):  # a row at a time: V is up to 256,000
        r_V, o_V = reference_V.astype(np.float64), other_V.astype(np.float64)
        if not (np.isfinite(r_V).all() and np.isfinite(o_V).all()):
            cosine_N.append(0.0)
            kl_N.append(float("inf"))
            continue
        r_V, o_V = r_V - r_V.mean(), o_V - o_V.mean()
        scale = float(np.linalg.norm(r_V) * np.linalg.norm(o_V))
        cosine_N.append(float(r_V @ o_V) / scale if scale else 0.0)
        log_r_V, log_o_V = _log_softmax(r_V), _log_softmax(o_V)
        kl_N.append(float(np.exp(log_r_V) @ (log_r_V - log_o_V)))
    same_N = reference_NV.argmax(axis=1) == other_NV.argmax(axis=1)
    return Agreement(float(np.mean(cosine_N)), max(0.0, float(np.mean(kl_N))), float(same_N.mean()), len(reference_NV))


def _log_softmax(logits_V: "np.ndarray") -> "np.ndarray":
    import numpy as np

    shifted_V = logits_V - logits_V.max()
    return shifted_V - np.log(np.exp(shifted_V).sum())
