"""From the command to the first paint of the app, on a real terminal, beside the bare import of Textual.

.venv/bin/python benchmarks/startup.py [REPEATS]
"""

import subprocess
import sys
import time

from common import bench_home, print_table, ratios, seconds, spread
from terminal import Terminal

from memory.home import Home
from molting_agent.runtime.models import embedded_model

PAINTED = "sk him something"  # the cursor stands on the first letter


def first_paint(home: Home) -> float:
    """Seconds until the prompt stands on the terminal; the app is ended afterwards."""
    terminal = Terminal([sys.executable, "-m", "molting_agent", "--home", str(home.root)])
    try:
        return terminal.until(PAINTED)
    finally:
        terminal.close()


def import_textual() -> None:
    subprocess.run([sys.executable, "-c", "import textual.app"], check=True)


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    home = bench_home()
    embedded_model(home)
    first_paint(home)
    paints, imports = [], []
    for _ in range(repeats):
        paints.append(first_paint(home))
        imports.append(seconds(import_textual))
        time.sleep(2)  # the worker of the app that was killed leaves by itself
    print_table(
        f"Start-up, {repeats} repeats",
        [
            ("first paint", f"{spread(paints)} s", "1 s"),
            ("against a Python that only imports Textual", spread(ratios(paints, imports)), ""),
        ],
    )


if __name__ == "__main__":
    main()
