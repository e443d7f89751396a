"""Logged conversations: one value type, one reader per log format, and the writer of our own log."""
