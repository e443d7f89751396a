"""Which layer of the student learns from which layer of the teacher: uniform, last, middle, or written by hand.

A map is a tuple of (student layer, teacher layer). Layers count from 1; 0 is the embedding, so a layer is its index in
the ``hidden_states`` that transformers returns. Source of the first two: Sun et al. 2019, "Patient knowledge
distillation", arXiv 1908.09355 (there "skip" and "last"); of the middle: Romero et al., "FitNets", arXiv 1412.6550.
"""

import re

LayerMap = tuple[tuple[int, int], ...]

PAIR = re.compile(r"\s*L(\d+)\s*-\s*L(\d+)\s*")


def uniform(student_layers: int, teacher_layers: int) -> LayerMap:
    """Every student layer, spread evenly over the teacher: i of S learns from round(i * T / S), last from last."""
    _check(student_layers, teacher_layers)
    # Halves round up, so that no teacher layer is used twice where it has at least as many layers.
    return tuple(
        (i, max(1, (2 * i * teacher_layers + student_layers) // (2 * student_layers)))
        for i in range(1, student_layers + 1)
    )


def last(student_layers: int, teacher_layers: int, count: int | None = None) -> LayerMap:
    """The last ``count`` layers of each, top to top (default: as many as the shallower one has)."""
    _check(student_layers, teacher_layers)
    most = min(student_layers, teacher_layers)
    count = _count(count, most, most)
    return tuple((student_layers - i, teacher_layers - i) for i in reversed(range(count)))


def middle(student_layers: int, teacher_layers: int, count: int | None = None) -> LayerMap:
    """The ``count`` pairs of the uniform map in the middle of the student (default: a third of its layers).

    Early layers hold the wording and the last ones the choice of token, which the soft targets teach already.
    """
    pairs = uniform(student_layers, teacher_layers)
    count = _count(count, student_layers, max(1, student_layers // 3))
    first = (student_layers - count) // 2
    return pairs[first : first + count]


def by_hand(text: str, student_layers: int, teacher_layers: int) -> LayerMap:
    """Pairs as written, teacher first: "L1-L1, L3-L2, L6-L3, L12-L6" teaches student layer 6 by teacher layer 12.

    Errors: ValueError for a pair that cannot be read, a layer that does not exist, or a pair that is there twice.
    """
    _check(student_layers, teacher_layers)
    pairs = []
    for part in text.split(","):
        found = PAIR.fullmatch(part)
        if found is None:
            raise ValueError(f"{part.strip()!r} is no pair of layers: write teacher and student as L12-L6")
        teacher, student = int(found[1]), int(found[2])
        if teacher > teacher_layers or student > student_layers:
            have = f"the teacher has {teacher_layers} layers and the student {student_layers}"
            raise ValueError(f"{part.strip()} names a layer that does not exist: {have}")
        if (student, teacher) in pairs:
            raise ValueError(f"{part.strip()} is there twice: give a pair its weight instead")
        pairs.append((student, teacher))
    return tuple(pairs)


def layer_map(text: str, student_layers: int, teacher_layers: int) -> LayerMap:
    """A map from a setting: "uniform", "last", "middle", one of the latter two with a count ("last:2"), or pairs."""
    name, _, given = text.strip().partition(":")
    if name == "uniform" and not given:
        return uniform(student_layers, teacher_layers)
    if name in ("last", "middle"):
        if given and not given.strip().isdigit():
            raise ValueError(f"{text!r} is no layer map: the count after the colon must be a number, as in {name}:2")
        make = last if name == "last" else middle
        return make(student_layers, teacher_layers, int(given) if given else None)
    return by_hand(text, student_layers, teacher_layers)


def _count(wish: int | None, most: int, default: int) -> int:
    count = default if wish is None else wish
    if not 1 <= count <= most:
        raise ValueError(f"{count} pairs of layers cannot be made: between 1 and {most} can")
    return count


def _check(student_layers: int, teacher_layers: int) -> None:
    if student_layers < 1 or teacher_layers < 1:
        raise ValueError(f"teacher and student need at least one layer, not {teacher_layers} and {student_layers}")
