"""What differs between two molts: settings, what each learnt from, and how each was measured (pure)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MEASURES = (
    ("held-out text, bits per byte", "heldout_bits_per_byte"),
    ("the same under a short prompt", "heldout_bits_per_byte_short_prompt"),
    ("general questions, probability of the right answer", "general"),
)
HELD_OUT = {name for name, key in MEASURES if key.startswith("heldout")}
OTHER_HELD_OUT = "* measured on other conversations held out; not to be compared"
Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class MoltDiff:
    """Rows of (what, before, after); ``learnt`` and ``unlearnt`` count replies that only one of the two learnt from.

    ``same_heldout``: both were measured on the same conversations, so that their figures can be compared.
    """

    settings: tuple[Row, ...]
    learnt: int
    unlearnt: int
    measured: tuple[Row, ...]
    same_heldout: bool


def molt_diff(
    old: Mapping[str, Any], new: Mapping[str, Any], old_report: Mapping[str, Any], new_report: Mapping[str, Any]
) -> MoltDiff:
    """From the manifests and the reports (``report.json``, {} where there is none) of two molts of one base."""
    before, after = _targets(old), _targets(new)
    return MoltDiff(
        settings=tuple(_changed(old.get("config") or {}, new.get("config") or {})),
        learnt=len(after - before),
        unlearnt=len(before - after),
        measured=tuple(
            (name, _figure(old_report.get(key)), _figure(new_report.get(key)))
            for name, key in MEASURES
            if key in old_report or key in new_report
        ),
        same_heldout=sorted(old.get("heldout") or []) == sorted(new.get("heldout") or []),
    )


def diff_rows(diff: MoltDiff) -> list[Row]:
    """The same as lines of a table; a star marks figures that cannot be compared."""
    rows = [*diff.settings]
    rows.append(("replies only this one learnt from", f"{diff.unlearnt:,}", f"{diff.learnt:,}"))
    mark = "" if diff.same_heldout else " *"
    measured = [(f"{name}{mark if name in HELD_OUT else ''}", old, new) for name, old, new in diff.measured]
    return rows + measured


def _targets(manifest: Mapping[str, Any]) -> set[str]:
    """A reply that was edited since is another one: it counts by its text."""
    return {f"{one.get('message')} {one.get('sha256')}" for one in manifest.get("targets") or []}


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Row]:
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if before != after:
            yield name, _shown(before), _shown(after)


def _shown(value: object) -> str:
    return "" if value is None else str(value)


def _figure(measure: object) -> str:
    value = measure.get("candidate") if isinstance(measure, Mapping) else None
    return f"{value:.3f}" if isinstance(value, int | float) else ""
