"""What the conversations of a dataset are about: groups of words that occur together, with how many each has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST_TOPICS = 8
CONVERSATIONS_A_TOPIC = 8
WORDS_A_TOPIC = 6
# A word that stands in one conversation only groups nothing; names are kept when they come back.
FEWEST_CONVERSATIONS = 3
LARGEST_SHARE = 0.4

# Beside scikit-learn's English list: what people type without apostrophes, talk about talking, and Portuguese.
_MORE_STOP_WORDS = """
im ive ill youre youve dont doesnt didnt isnt wasnt cant wont thats whats its lets theres hes shes theyre id
don doesn didn isn wasn ll ve re yes ok okay just like know think want say says said tell make got get going really
thing things way good time day days today tomorrow yesterday week weeks need does did let use used using
ao aos as ate até com como da das de depois do dos ela elas ele eles em entre era essa esse esta estas este está estão
eu foi há isso isto já lhe mais mas me mesmo meu minha muito na nas não nao nem no nos nós num numa o os ou para pela
pelo por porque pois quando que quem se sem ser seu só sua são também te tem tenho teu tu tua um uma umas uns vai você
sim bem aqui ainda agora fica fazer faz tudo nada
"""


@dataclass(frozen=True, slots=True)
class Topic:
    """``words`` begin with the weightiest; ``conversations`` counts those that belong to this topic most."""

    words: tuple[str, ...]
    conversations: int


def topics(examples: Sequence[dict[str, Any]]) -> list[Topic]:
    """The largest groups first; [] when there are too few conversations to group.

    TF-IDF over the words of questions and replies (no system prompt), factored by NMF (Lee and Seung 1999), which gives
    groups of words that a person can read; the start is fixed, so that the same rows give the same groups.
    """
    texts: dict[str, list[str]] = {}
    for row in examples:
        said = [message["content"] for message in row["messages"] if message["role"] != "system"]
        texts.setdefault(row["conversation"], []).extend(said)
    count = min(MOST_TOPICS, len(texts) // CONVERSATIONS_A_TOPIC)
    if count < 2:
        return []
    from sklearn.decomposition import NMF
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

    vectorizer = TfidfVectorizer(
        stop_words=sorted(ENGLISH_STOP_WORDS.union(_MORE_STOP_WORDS.split())),
        token_pattern=r"(?u)\b[^\W\d_]{3,}\b",  # noqa: S106 - a pattern of words, no password
        min_df=FEWEST_CONVERSATIONS,
        max_df=LARGEST_SHARE,
        sublinear_tf=True,
    )
    try:
        weights = vectorizer.fit_transform("\n".join(parts) for parts in texts.values())
    except ValueError:  # no word stands in enough of the conversations
        return []
    if weights.shape[1] < count:
        return []
    model = NMF(n_components=count, init="nndsvda", random_state=0, max_iter=500)
    shares = model.fit_transform(weights)
    words = vectorizer.get_feature_names_out()
    belongs = [int(row.argmax()) for row in shares if row.max() > 0]
    found = [
        Topic(tuple(words[i] for i in component.argsort()[::-1][:WORDS_A_TOPIC]), belongs.count(number))
        for number, component in enumerate(model.components_)
    ]
    return sorted((topic for topic in found if topic.conversations), key=lambda topic: -topic.conversations)
