"""Teachers that score given text: one kind a file, each behind the same protocol."""
