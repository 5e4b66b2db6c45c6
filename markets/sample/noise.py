"""Random numbers as a pure function of (key, position): any piece of a series can be made again."""

import hashlib

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
DRAWS_PER_COUNTER = 4  # Philox4x64 gives four 64-bit words for every value of its counter


def stream_key(*parts: object) -> int:
    """Return the 128-bit Philox key of the stream named by `parts`."""
    name = "\x1f".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "little")


def uniforms(key: int, start: int, count: int) -> FloatArray:
    """Return draws `start` to `start + count` of a stream, each strictly between 0 and 1, shape (count,)."""
    skipped = start % DRAWS_PER_COUNTER
    philox = np.random.Philox(key=key, counter=start // DRAWS_PER_COUNTER)
    draws: FloatArray = np.random.Generator(philox).random(skipped + count)[skipped:]
    return draws + 2.0**-54  # Generator.random is half open; a logarithm follows


def normals(key: int, start: int, count: int) -> FloatArray:
    """Return standard normal draws, shape (count,), by Box and Muller; `start` and `count` must be even."""
    if start % 2 or count % 2:
        raise ValueError("normal draws come in pairs: start and count must be even")
    pairs = uniforms(key, start, count).reshape(-1, 2)
    radius = np.sqrt(-2.0 * np.log(pairs[:, 0]))
    angle = 2.0 * np.pi * pairs[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()


def students(key: int, start: int, count: int, degrees: float) -> FloatArray:
    """Return Student-t draws with unit variance, shape (count,).

    Bailey (1994), "Polar generation of random variates with the t-distribution", in its trigonometric form;
    `degrees` must exceed 2.
    """
    pairs = uniforms(key, 2 * start, 2 * count).reshape(-1, 2)
    radius = np.sqrt(degrees * (pairs[:, 0] ** (-2.0 / degrees) - 1.0))
    drawn: FloatArray = radius * np.cos(2.0 * np.pi * pairs[:, 1])
    return drawn / np.sqrt(degrees / (degrees - 2.0))
