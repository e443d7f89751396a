"""What a process pays for the memory: nothing heavy at import, no torch for a question, no Chroma for a small one."""

import subprocess
import sys

from memory.api import Memory
from tests.memory.conftest import ROOT

HEAVY = ("numpy", "chromadb", "onnxruntime", "tokenizers", "torch", "transformers", "sentence_transformers", "pydantic")


def _loaded_after(code: str, *arguments: str) -> set[str]:
    """Which of the heavy packages are loaded in a fresh process that ran ``code``."""
    script = f"import sys\n{code}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_front_door_imports_nothing_heavy() -> None:
    assert _loaded_after("import memory.api") == set()


def test_opening_and_searching_by_words_needs_nothing_heavy(memory: Memory) -> None:
    memory.add("The bicycle is red")
    code = (
        "from pathlib import Path; from memory.api import Memory; from memory.home import Home\n"
        "memory = Memory(Home(Path(sys.argv[1]))); assert memory.recall('colour of the bicycle'); memory.close()"
    )
    assert _loaded_after(code, str(memory.home.root)) == set()


def test_a_question_in_a_fresh_process_loads_neither_torch_nor_chroma(claudio: Memory) -> None:
    code = (
        "from pathlib import Path; from memory.api import Memory; from memory.home import Home\n"
        "found = Memory(Home(Path(sys.argv[1]))).recall('when do the backups run', k=3)\n"
        "assert any('03:20' in memory.text and 'vector' in memory.parts for memory in found)"
    )
    assert _loaded_after(code, str(claudio.home.root)) == {"numpy", "onnxruntime", "tokenizers"}
