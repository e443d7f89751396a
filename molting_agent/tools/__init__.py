"""What he can do besides talking: plain typed functions, chosen, agreed to, confined, told apart from words."""
