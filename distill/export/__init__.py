"""From a trained student to files that run elsewhere."""
