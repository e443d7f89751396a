"""Lessons in reading: questions beside recalled notes, short replies that say what stands there, or that nothing does.

They are made from hand-written shapes (the .md files here) whose slots are filled anew each time: what can be learnt
from them is to read, never a value (RAFT, Zhang et al. 2024, arXiv 2403.10131).
"""

from distill.reading.lessons import reading_dialogues

__all__ = ["reading_dialogues"]
