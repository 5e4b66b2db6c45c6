"""What a user would pick instead of our market list: the same rows, the same JSON."""
