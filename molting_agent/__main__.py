"""``python -m molting_agent`` is ``molt``."""

from molting_agent.cli import main

main(prog_name="molt")
