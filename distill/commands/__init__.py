"""The commands of ``python -m distill``, one a file."""
