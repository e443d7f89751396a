"""Screens as plain text, compared with the files under ``snapshots/``; MOLTING_RENEW=1 writes them anew."""

import difflib
import os
from pathlib import Path

FOLDER = Path(__file__).parent / "snapshots"
RENEW = bool(os.environ.get("MOLTING_RENEW"))


def compare(name: str, text: str) -> str:
    """What differs between a screen and its file, as a diff to read; "" when nothing does."""
    path = FOLDER / f"{name}.txt"
    shown = f"{text.rstrip()}\n"
    if RENEW:
        FOLDER.mkdir(exist_ok=True)
        path.write_text(shown, encoding="utf-8")
        return ""
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(kept.splitlines(), shown.splitlines(), f"{path.name}, kept", "now", lineterm="", n=1)
    return "\n".join(lines)
