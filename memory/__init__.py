"""The ground floor: what was said (transcripts), what is kept (MEMORY.md, SQLite, Chroma); imports nothing above."""
