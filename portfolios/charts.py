"""The allocation of a portfolio as the segments of one bar."""

from dataclasses import dataclass

from markets.models import Cryptocurrency
from portfolios.pricing import Worth

HUES = (212, 32, 152, 275, 348, 190, 52, 315)


@dataclass(frozen=True, slots=True)
class Segment:
    """One coin's part of a bar that is 100 wide."""

    coin: Cryptocurrency
    start: float
    width: float
    hue: int


def allocation_bar(worth: Worth) -> list[Segment]:
    """A segment for each priced holding, largest first; they fill the bar."""
    segments: list[Segment] = []
    start = 0.0
    for holding, coin in worth.rows:
        if holding.allocation is None:
            continue
        width = holding.allocation * 100
        segments.append(Segment(coin, round(start, 4), round(width, 4), HUES[len(segments) % len(HUES)]))
        start += width
    return segments
