"""The command as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from memory.home import Home

ROOT = Path(__file__).parents[2]


def process(home: Home, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs ``molt`` as a process."""
    home.config_file.write_text("[model]\nmax_reply_tokens = 16\n")
    command = [sys.executable, "-m", "molting_agent", *arguments]
    environment = {**os.environ, "MOLTING_HOME": str(home.root)}
    options = {"stdin": subprocess.DEVNULL, **options}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=250, check=False, **options
    )


# -- all commands ---------------------------------------------------------------------------------------------------
