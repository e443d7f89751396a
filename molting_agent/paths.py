"""Which folder is the agent's home: the option, the environment, or the place the system has for a person's data."""

import os
from pathlib import Path

from memory.home import Home

ENVIRONMENT = "MOLTING_HOME"


def find_home(option: str | None = None) -> Home:
    """The home of ``--home``, else of $MOLTING_HOME, else ``molting`` in the user's data folder (XDG on Linux)."""
    chosen = option or os.environ.get(ENVIRONMENT)
    if chosen:
        return Home(Path(chosen).expanduser().absolute())
    from platformdirs import user_data_path

    return Home(user_data_path("molting", appauthor=False))
