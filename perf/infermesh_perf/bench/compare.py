"""Compares servers that took turns: a ratio per round first, its middle and spread afterwards.

A machine drifts over minutes (heat, neighbours, builds). Within a round all servers see the same drift: the
ratio of a round stands even where the two figures do not.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The median of some rounds with the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises ValueError when there are no values."""
        if not values:
            raise ValueError("no rounds to summarise")
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        """As tables show a ratio, such as `1.25 (1.10 - 1.31)`."""
        return f"{self.median:.2f} ({self.low:.2f} - {self.high:.2f})"


def interleave(rounds: int, names: Sequence[str]) -> Iterator[tuple[int, str]]:
    """A B C A B C ...: the number of the round, from 0, and whose turn it is."""
    for turn in range(rounds):
        for name in names:
            yield turn, name


def ratios(subject: Sequence[float], base: Sequence[float]) -> list[float]:
    """`subject / base`, round by round.

    Raises ValueError when they have not the same number of rounds or a base is not above zero.
    """
    if any(value <= 0 for value in base):
        raise ValueError(f"a ratio to {min(base)} means nothing")
    return [ours / theirs for ours, theirs in zip(subject, base, strict=True)]
