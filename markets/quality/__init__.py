"""Finds what is wrong in stored prices, says so, and keeps what cannot be true out of everything else."""
