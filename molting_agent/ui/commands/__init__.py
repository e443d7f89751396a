"""The slash commands: one function each, gathered in ``registry``."""
