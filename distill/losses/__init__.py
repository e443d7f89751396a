"""Losses as pure functions, one a file; shapes: N positions with a label, H hidden width, V vocabulary."""
