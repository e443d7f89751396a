"""Hypotheses as experiments: arms that share data, steps, seeds and judge, and a rule written before the run."""
