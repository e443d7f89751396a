"""The last line of a screen: its most useful keys, as the person has set them, as many as fit."""

from collections.abc import Mapping, Sequence
from typing import Any

from textual.content import Content
from textual.widget import Widget

from molting_agent.ui.keys import bindings_of, key_text

Shown = Sequence[tuple[str, str]]


class KeysLine(Widget):
    """Drawn from (key, word) pairs; the last pair, which leads back, always stays."""

    def __init__(self, keys: Shown) -> None:
        super().__init__(id="keys")
        self.keys = keys

    def render(self) -> Content:
        return keys_text(self.keys, self.content_size.width)


def named_keys(place: Any, words: Shown, chosen: Mapping[str, str]) -> list[tuple[str, str]]:
    """(binding id, word) pairs with the key in the id's place; what is no id of ``place`` stays as it is."""
    bindings = {binding.id: binding for binding in bindings_of(place)}
    return [(key_text(bindings[name], chosen) if name in bindings else name, word) for name, word in words]


def keys_text(keys: Shown, width: int) -> Content:
    """``p let it speak   b roll back   Esc back``: closer together and then fewer where the line is short (pure)."""
    parts = [Content.assemble((key, "$primary"), (f" {word}", "$foreground-muted")) for key, word in keys]
    for gap in ("   ", "  "):
        line = Content(gap).join(parts)
        if line.cell_length <= width:
            return line
    while len(parts) > 2 and line.cell_length > width:
        del parts[-2]
        line = Content("  ").join(parts)
    return line
