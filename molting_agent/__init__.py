"""The terminal app, the agent, and under them the runtime; importing this package imports nothing heavy."""
