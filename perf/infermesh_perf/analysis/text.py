"""Figures as sentences show them."""

from __future__ import annotations

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"))


def number(value: float) -> str:
    """Three digits, whole from 100 on: `0.123`, `45.6`, `4,120`."""
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def duration(nanoseconds: float) -> str:
    """In the unit that suits it: `850 ns`, `20 ms`, `1.5 s`."""
    for size, unit in _UNITS:
        # What rounds up to 1,000 of one unit is 1 of the next.
        if abs(nanoseconds) >= size * 0.9995:
            return f"{number(nanoseconds / size)} {unit}"
    return f"{number(nanoseconds)} ns"


def share(value: float) -> str:
    """A share from 0 to 1 in percent: `0.1 %`. Never 100 % where something is missing: `99.99 %`."""
    percent = 100 * value
    return f"{percent:.6g} %" if 99 < percent < 100 else f"{number(percent)} %"


def rate(value: float) -> str:
    """Per second: `4,120/s`."""
    return f"{number(value)}/s"
