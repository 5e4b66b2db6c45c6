"""The account pages: getting in, one's own account, and what guards it."""
