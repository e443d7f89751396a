"""The house stands as drawn: one owner per heavy library, light start-up, short files that say what they are for."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("memory", "molting_agent", "distill", "identity")
SOURCES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))
ALL_FILES = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]

# The one place of each heavy library: a file or, with a slash at its end, a folder.
OWNERS = {
    "llama_cpp": ["molting_agent/runtime/llama.py"],
    "chromadb": ["memory/vector_index.py"],
    "sentence_transformers": ["memory/prepare.py"],
    "textual": ["molting_agent/ui/"],
    "trl": ["distill/"],
    "peft": ["distill/"],
    "transformers": ["distill/", "memory/prepare.py"],
    "torch": ["distill/", "memory/prepare.py"],
}


def imported(path: Path) -> set[str]:
    """Top-level names of all imports of a file, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("library", OWNERS)
def test_heavy_library_is_imported_only_by_its_owner(library: str) -> None:
    users = [str(p.relative_to(ROOT)) for p in SOURCES if library in imported(p)]
    assert users, f"nothing imports {library}: is it still a dependency?"
    assert [u for u in users if not any(u.startswith(owner) for owner in OWNERS[library])] == []


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    sentence = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    assert sentence.endswith((".", ":", ";", "?")), "the first line of the docstring is one sentence"


# What a process must not have loaded after importing a module, or after running a command.
HEAVY = {"torch", "transformers", "sentence_transformers", "chromadb", "onnxruntime", "llama_cpp", "trl", "peft"}
LIGHT_IMPORTS = [
    ("memory.api", HEAVY | {"numpy", "textual", "pydantic"}),
    ("molting_agent.cli", HEAVY | {"numpy", "textual"}),
    ("molting_agent.agent", HEAVY | {"numpy", "textual"}),
    ("molting_agent.ui.app", HEAVY | {"numpy"}),
    ("distill.registry", HEAVY | {"numpy", "pydantic"}),
    ("distill.progress", HEAVY | {"numpy", "pydantic"}),
]


@pytest.mark.parametrize(("module", "banned"), LIGHT_IMPORTS, ids=[m for m, _ in LIGHT_IMPORTS])
def test_import_is_light(module: str, banned: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted({banned!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []


def test_child_processes_import_nothing_from_the_folder_they_are_started_in() -> None:
    """A confined command may write there: a json.py of its own must not be run outside the wall."""
    children = [(p, match) for p in SOURCES for match in re.finditer(r'executable,\s*("-P",\s*)?"-m"', p.read_text())]
    assert len(children) >= 10
    assert [str(p.relative_to(ROOT)) for p, match in children if not match[1]] == []


def test_file_map_of_the_readme_is_true() -> None:
    """Every path in the README's map exists, and every folder with code is in it."""
    block = re.search(r"## The house\n.*?```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block, "the README has a map under '## The house'"
    listed = {line.split()[0].rstrip("/") for line in block[1].splitlines() if line.strip()}
    assert [path for path in listed if not (ROOT / path).exists()] == []
    folders = {str(p.parent.relative_to(ROOT)) for p in ALL_FILES if "fixtures" not in p.parts}
    assert sorted(folders - listed) == []


def test_map_of_all_files_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_map.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
