"""Takes secrets and personal data out of a conversation before anything remembers it or learns from it.

``Scrubber().scrub(text)``, one Scrubber a conversation. The base is betterleaks' rules (``base``); ``formats`` and
``spoken`` are what it misses in a talk, ``personal`` and ``phones`` what is no secret but a person's. Nothing heavy is
loaded before the first text.
"""

from memory.scrub.scrubber import Scrubbed, Scrubber

__all__ = ["Scrubbed", "Scrubber"]
