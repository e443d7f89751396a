"""What an ingest found, as rows for a table (pure)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memory.values import IngestReport


def report_rows(
    report: "IngestReport", *, embedded: int = 0, rules: Mapping[str, int] | None = None
) -> list[tuple[str, str]]:
    """Name and value of each count that says something; ``rules``: how many label rules there are, by label."""
    known = [f"{report.unchanged:,} unchanged"] if report.unchanged else []
    known += [f"{report.appended:,} read from where they were left"] if report.appended else []
    rows = [
        ("files", f"{report.files:,}" + (f" ({', '.join(known)})" if known else "")),
        ("formats", counts(report.formats)),
        ("conversations", f"{report.conversations:,}"),
        ("turns", f"{report.turns:,} ({report.human_turns:,} human, {report.agent_turns:,} agent)"),
        ("rationales", f"{report.rationales:,}"),
        ("tool calls", f"{report.tool_calls:,}"),
        ("duplicates", f"{report.duplicates:,}"),
        ("redactions", counts(report.redactions)),
        ("memories", f"{report.memories:,} new, {report.removed:,} removed"),
        ("embedded", f"{embedded:,}"),
        ("left out", counts(report.dropped)),
        ("label rules", counts({name: count for name, count in (rules or {}).items() if count})),
        ("skipped", f"{len(report.skipped):,}"),
    ]
    return [row for row in rows if row[1]]


def skipped_lines(report: "IngestReport", limit: int) -> list[str]:
    """Place and reason of what was skipped, at most ``limit``."""
    return [
        f"{one.path}:{one.line}: {one.reason}" if one.line else f"{one.path}: {one.reason}"
        for one in report.skipped[:limit]
    ]


def counts(values: Mapping[str, int]) -> str:
    """``EMAIL 2, PASSWORD 1``"""
    return ", ".join(f"{name} {count:,}" for name, count in sorted(values.items()))
