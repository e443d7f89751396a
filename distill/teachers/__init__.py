"""Writing teachers: they answer the person's questions with reply and rationale, and every answer is kept at once."""
