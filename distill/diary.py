"""The molt diary: one entry a molt in MOLTS.md of the home, written only from what was measured and what was chosen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memory.files import file_lock, write_atomic

NAME = "MOLTS.md"
HEAD = "# His molts\n\nWritten after each retraining, from measured differences alone.\n"
# key of report["differences"], what it is, factor, decimals; only what moved beyond its interval is told
TOLD = (
    ("heldout", "held-out text, bits per byte", 1.0, 3),
    ("general", "right answers to general questions, %", 100.0, 1),
    ("facts", "facts exam with recall, right, %", 100.0, 1),
    ("passes", "replies that pass for the teacher's, %", 100.0, 0),
    ("token_f1", "words shared with the logged replies, %", 100.0, 1),
    ("loops", "replies that run in a loop, %", 100.0, 0),
    ("refuses", "refusals, %", 100.0, 0),
    ("echoes", "replies that repeat the prompt, %", 100.0, 0),
    ("mistakes", "marked mistakes, bits per byte behind the wanted reply", 1.0, 3),
)


def entry(report: Mapping[str, Any], created_at: str) -> str:
    """The entry of one report (pure): the verdict, what it learnt from, what is different beyond its 95 % interval."""
    verdict, data = report["verdict"], report["data"]
    champion = report["champion"]
    lines = [f"## Molt {report['molt']}, {created_at[:10]}: {verdict['verdict']}", ""]
    lines.append(
        f"Learnt from {data['targets']:,} replies in {data['conversations']:,} conversations "
        f"({data['new_targets']:,} new), compared with {f'molt {champion}' if champion else 'the base'}."
    )
    found = report["differences"].get(f"{report['chosen']} against champion", {})
    moved = [
        f"- {label}: {scale * one['before']:.{digits}f} -> {scale * one['after']:.{digits}f}"
        for name, label, scale, digits in TOLD
        if (one := found.get(name)) and (one["low"] > 0 or one["high"] < 0)
    ]
    lines += ["", *(moved or ["- nothing that was measured is different beyond its 95 % interval"])]
    if verdict["verdict"] != "promoted":
        lines += [f"- the gate: {reason}" for reason in verdict["reasons"]]
    return "\n".join(lines) + "\n"


def write(home_root: Path, text: str) -> Path:
    """Append an entry or a line to the diary; what stands there stays. Gives its path."""
    path = home_root / NAME
    with file_lock(home_root / f".{NAME}.lock"):
        before = path.read_text(encoding="utf-8") if path.exists() else HEAD
        if text not in before:  # a run that was killed after it wrote comes here again
            write_atomic(path, f"{before.rstrip()}\n\n{text.rstrip()}\n")
    return path
