"""The app is light until its first paint: checked in a process of its own."""

import subprocess
import sys

HEAVY = (
    "chromadb",
    "llama_cpp",
    "numpy",
    "torch",
    "onnxruntime",
    "transformers",
    "sentence_transformers",
    "tokenizers",
)


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_importing_the_app_imports_nothing_heavy() -> None:
    assert run(f"import sys, molting_agent.ui.app; print([m for m in {HEAVY!r} if m in sys.modules])") == "[]"


def test_first_paint_comes_before_anything_heavy(tmp_path: object) -> None:
    code = f"""
import asyncio, sys, threading
from pathlib import Path
from memory.home import Home
from molting_agent.ui.app import MoltingApp
gate = threading.Event()
def make():
    gate.wait(30)
    raise RuntimeError("not in this test")
async def main():
    home = Home(Path({str(tmp_path)!r}))
    app = MoltingApp(home, make_agent=make)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("h", "i")
        print(app.chat.prompt.text, [m for m in {HEAVY!r} if m in sys.modules])
        gate.set()
asyncio.run(main())
"""
    assert run(code) == "hi []"
