"""Between which loads a search can find anything."""

from __future__ import annotations

import math

from infermesh_perf.errors import SetupError


def check_bounds(start: float, maximum: float, precision: float, whole: bool, max_trials: int) -> None:
    """Raises SetupError that says which of them is wrong."""
    if not 0 < start <= maximum < math.inf:
        raise SetupError(
            f"search from {start:g} to {maximum:g}: expected a lowest load above 0 and a highest from there"
        )
    if whole and not (float(start).is_integer() and float(maximum).is_integer()):
        raise SetupError(f"search from {start:g} to {maximum:g}: requests under way are whole numbers")
    if not 0 < precision < 1:
        raise SetupError(
            f"search with precision {precision:g}: expected a share between 0 and 1, such as 0.05"
        )
    if max_trials < 3:
        raise SetupError(f"search of at most {max_trials} trials: expected at least 3, as one must confirm")
