"""Recall: what of the memory fits a question, best first."""
