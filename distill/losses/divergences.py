"""The divergences by their names in a recipe."""

from functools import partial

from distill.losses.events import Divergence
from distill.losses.forward_kl import forward_kl
from distill.losses.jensen_shannon import jensen_shannon
from distill.losses.reverse_kl import reverse_kl
from distill.losses.skew_kl import skew_forward_kl, skew_reverse_kl
from distill.losses.total_variation import total_variation


def divergence_named(name: str, skew: float = 0.1) -> Divergence:
    """The divergence of a setting (``distill.config.DIVERGENCES``); ``skew`` is alpha of the skew ones.

    Errors: ValueError for another name.
    """
    found: dict[str, Divergence] = {
        "forward_kl": forward_kl,
        "reverse_kl": reverse_kl,
        "jensen_shannon": jensen_shannon,
        "skew_forward_kl": partial(skew_forward_kl, alpha=skew),
        "skew_reverse_kl": partial(skew_reverse_kl, alpha=skew),
        "total_variation": total_variation,
    }
    if name not in found:
        raise ValueError(f"no divergence is called {name!r}; choose one of {', '.join(found)}")
    return found[name]
