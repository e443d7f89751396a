"""Every key that can be changed: the bindings of all screens by their id, with the keys the person gave them."""

import difflib
from collections.abc import Mapping
from typing import Any

from textual.binding import Binding

KEY_NAMES = {"escape": "Esc", "pageup": "PgUp", "pagedown": "PgDn", "delete": "Del", "space": "Space"}


def places() -> list[Any]:
    """The classes that have bindings, in the order of the Help screen; imported when they are asked for."""
    from molting_agent.ui.app import MoltingApp
    from molting_agent.ui.chat import ChatScreen
    from molting_agent.ui.prompt import Prompt
    from molting_agent.ui.reply_block import ReplyBlock
    from molting_agent.ui.screens.ceremony import CeremonyScreen
    from molting_agent.ui.screens.editor import Editor
    from molting_agent.ui.screens.identity import IdentityScreen
    from molting_agent.ui.screens.ingest import IngestScreen
    from molting_agent.ui.screens.memories import MemoryScreen
    from molting_agent.ui.screens.molts import MoltsScreen
    from molting_agent.ui.screens.sessions import SessionsScreen
    from molting_agent.ui.screens.settings import SettingsScreen

    return [
        Prompt,
        ChatScreen,
        ReplyBlock,
        MoltingApp,
        MemoryScreen,
        MoltsScreen,
        SessionsScreen,
        IngestScreen,
        IdentityScreen,
        SettingsScreen,
        CeremonyScreen,
        Editor,
    ]


def bindings_of(place: Any) -> list[Binding]:
    """The named bindings of a class and of its own bases (those that have an id), in order."""
    rows: dict[str, Binding] = {}
    for kind in reversed(place.__mro__):
        for binding in kind.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id and binding.description:
                rows[binding.id] = binding
    return list(rows.values())


def key_text(binding: Binding, keys: Mapping[str, str]) -> str:
    """``Ctrl+J``: the person's key, or as the binding displays it; the first one where several do the same."""
    chosen = keys.get(binding.id or "")
    if binding.key_display and not chosen:
        return binding.key_display
    parts = (chosen or binding.key).split(",")[0].strip().split("+")
    return "+".join(
        KEY_NAMES.get(part, part.capitalize() if len(part) > 1 or len(parts) > 1 else part) for part in parts
    )


def unknown_keys(keys: Mapping[str, str]) -> str:
    """One line about names in ``[keys]`` that nothing has; "" when all are known."""
    if not keys:
        return ""
    known = {str(binding.id) for place in places() for binding in bindings_of(place)}
    wrong = [name for name in keys if name not in known]
    if not wrong:
        return ""
    near = difflib.get_close_matches(wrong[0], known, n=1)
    hint = f"; did you mean {near[0]}?" if near else "; F1 lists the names"
    return f"config.toml, [keys]: there is nothing named {', '.join(wrong)}{hint}"
