"""The turns of two targets that are compared, and how many of them are needed."""

from __future__ import annotations

import math
from typing import Literal

from infermesh_perf.errors import SetupError

Side = Literal["A", "B"]


def order(rounds: int) -> list[Side]:
    """A B, B A, A B ...: so many rounds with one turn of each.

    What drifts evenly (heat, memory) meets both sides alike over every two rounds. Raises SetupError for
    none.
    """
    if rounds < 1:
        raise SetupError(
            f"{rounds} rounds: expected at least 1, and {rounds_needed(0.95)} to tell sides apart"
        )
    turns: list[Side] = []
    for turn in range(rounds):
        turns += ("A", "B") if turn % 2 == 0 else ("B", "A")
    return turns


def rounds_needed(confidence: float) -> int:
    """The fewest rounds that can tell two sides apart with this confidence: 6 for 0.95, 8 for 0.99.

    If the sides are alike, each round is won by either with even chances: `n` rounds that all agree come
    about by chance with a probability of 2 ** (1 - n).
    """
    return math.ceil(round(1 + math.log2(1 / (1 - confidence)), 9))
