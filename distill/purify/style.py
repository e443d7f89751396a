"""How far two writers' styles lie apart: the distance between their habits in small words and marks."""

import re
from collections import Counter
from collections.abc import Sequence

# Function words carry style and hardly any subject (Mosteller and Wallace 1964): what somebody writes about should not
# count as how he writes. English, then Portuguese.
_WORDS = """
a about after all also although an and any are as at be because been before being both but by can could did do does
each either even every few for from further had has have he her here him his how however i if in into is it its just
may me might more most much must my neither no nor not of off on once one only or other our out over perhaps quite
rather shall she should since so some still such than that the their them then there therefore these they this those
though through thus to too under until up upon very was we were what when where whether which while who whose why will
with within without would yet you your
ao aos as até com como da das de dela dele do dos ela ele em entre era essa esse esta este eu foi há isso isto já lhe
mais mas me mesmo meu minha muito na não nas nem no nos num numa o os ou para pela pelo por porque quando que quem se
sem seu só sua também tem tu um uma você
"""
FUNCTION_WORDS = tuple(dict.fromkeys(_WORDS.split()))
MARKS = tuple(".,;:!?()-—…\"'*#`")
_TOKEN = re.compile(r"\w+|[^\w\s]")
_COUNTED = frozenset((*FUNCTION_WORDS, *MARKS))


def habits(texts: Sequence[str]) -> Counter[str]:
    """How often each function word and mark stands in the texts."""
    tokens = (token for text in texts for token in _TOKEN.findall(text.casefold().replace("’", "'")))
    return Counter(token for token in tokens if token in _COUNTED)


def style_distance(texts: Sequence[str], others: Sequence[str]) -> float:
    """Jensen-Shannon distance of two writers' habits, 0 (the same) to 1 (nothing in common); nan where one has none.

    The square root of (KL(p, m) + KL(q, m)) / 2 in bits, m = (p + q) / 2: a metric (Endres and Schindelin 2003). Few
    words make it too large: compare it only between writers with about as much text.
    """
    mine, theirs = habits(texts), habits(others)
    if not mine or not theirs:
        return float("nan")
    from scipy.spatial.distance import jensenshannon

    order = sorted(mine.keys() | theirs.keys())
    return float(jensenshannon([mine[token] for token in order], [theirs[token] for token in order], base=2))
