"""The ground floor: what was said (transcripts) and what is kept (MEMORY.md, SQLite, Chroma); imports nothing above it."""
