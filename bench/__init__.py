"""Benchmarks: each against a peer or a physical limit, both sides in one run.

A benchmark is a module named ``p<number>_<what>.py`` with ``def run() -> Iterator[Result]``.
"""
