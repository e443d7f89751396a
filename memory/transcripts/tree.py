"""A log that is a tree: the path that was taken through it, and what was said instead on the others (pure).

Nodes are numbered; ``parents[node]`` is the node before it, -1 for none. ``roles`` holds one of ``USER``, ``REPLY`` (a
reply with text) or ``OTHER`` a node.
"""

from collections.abc import Sequence

USER, REPLY, OTHER = "u", "r", "o"


def path_to(parents: Sequence[int], leaf: int) -> list[int]:
    """The nodes from the root to ``leaf``; a cycle in damaged data ends the way."""
    path: list[int] = []
    seen: set[int] = set()
    node = leaf
    while 0 <= node < len(parents) and node not in seen:
        seen.add(node)
        path.append(node)
        node = parents[node]
    return path[::-1]


def alternatives(parents: Sequence[int], roles: Sequence[str], taken: Sequence[int]) -> list[tuple[int, int]]:
    """(taken reply, other reply) for every branch that answers the same user message another way.

    With tools in between a question has several replies: the last one of each branch stands for it. What goes on after
    the taken reply, and what answers another wording of the question, is no alternative.
    """
    position = {node: index for index, node in enumerate(taken)}
    answer_to: dict[int, int] = {}
    question = -1
    for node in taken:
        if roles[node] == USER:
            question = node
        elif roles[node] == REPLY and question >= 0:
            answer_to[question] = node
    found: dict[int, int] = {}
    not_last: set[int] = set()
    for node, role in enumerate(roles):
        if role != REPLY or node in position:
            continue
        above = _above(parents, roles, position, node)
        if above is None:
            continue
        asked, branching, passed = above
        answer = answer_to.get(asked)
        if answer is not None and position[branching] < position[answer]:
            found[node] = answer
            not_last.update(passed)
    return [(answer, node) for node, answer in found.items() if node not in not_last]


def _above(
    parents: Sequence[int], roles: Sequence[str], position: dict[int, int], start: int
) -> tuple[int, int, list[int]] | None:
    """(its question, where its branch leaves the path, replies between); None when the question is not on the path."""
    passed: list[int] = []
    seen = {start}
    node = parents[start]
    while node >= 0 and node not in position:
        if node in seen or roles[node] == USER:
            return None
        seen.add(node)
        if roles[node] == REPLY:
            passed.append(node)
        node = parents[node]
    if node < 0:
        return None
    branching = node
    while node >= 0 and roles[node] != USER:
        if parents[node] == node:
            return None
        node = parents[node]
    return (node, branching, passed) if node >= 0 else None
