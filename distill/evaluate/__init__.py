"""Judging a student as it will run: in the runtime, quantised, with its adapter."""
