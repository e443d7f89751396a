"""Writes docs/map.md: every source file and its one sentence, taken from the files themselves."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("molting_agent", "distill", "memory", "identity", "benchmarks")


def sentence(path: Path) -> str:
    """The first line of the file's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def build() -> str:
    """The whole map as markdown."""
    lines = ["# Every file and its sentence", "", "Made by `make docs`; the overview is in the README.", ""]
    for folder in FOLDERS:
        lines += [f"## {folder}/", "", "| file | what it is |", "|---|---|"]
        for path in sorted((ROOT / folder).rglob("*.py"), key=lambda p: (p.parent, p.name)):
            lines.append(f"| `{path.relative_to(ROOT / folder)}` | {sentence(path).replace('|', chr(92) + '|')} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    target, text = ROOT / "docs" / "map.md", build()
    if "--check" in sys.argv:
        if not target.exists() or target.read_text() != text:
            sys.exit("docs/map.md is out of date; run: make docs")
    else:
        target.write_text(text)
