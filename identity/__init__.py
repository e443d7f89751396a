"""Who Cláudio is: SOUL.md, IDENTITY.md, templates of USER.md and MEMORY.md, a sample person, and his first molt."""
