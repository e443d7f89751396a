"""The commands of ``molt``, one group a file; importing them imports click and nothing heavy."""
