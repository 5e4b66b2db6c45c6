"""The pages under /ops/, for staff."""
