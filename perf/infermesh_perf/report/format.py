"""Figures and texts as people read them, rounded as the analysis rounds them in its sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infermesh_perf.analysis.text import duration as ascii_duration
from infermesh_perf.analysis.text import number, rate, share

__all__ = ["duration", "flat", "number", "printable", "rate", "share", "size"]

_SIZES = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def duration(ns: float) -> str:
    """Nanoseconds, such as `1.23 ms`; microseconds as `µs`."""
    return ascii_duration(ns).replace(" us", " µs")


def size(count: float) -> str:
    """Bytes, such as `1.5 MiB`."""
    for factor, unit in _SIZES:
        if count >= factor:
            return f"{number(count / factor)} {unit}"
    return f"{count:.0f} B"


def printable(text: str) -> str:
    """A text from elsewhere without characters that a terminal obeys."""
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Nested facts as lines of a name, such as `machine cpu`, and a text; sizes in bytes with their unit."""
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{above} {key}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            lines += flat(value, name)
        else:
            lines.append((name.removesuffix(" bytes"), _fact(name, value)))
    return lines


def _fact(name: str, value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith(" bytes"):
            return size(value)
        case list() | tuple():
            return ", ".join(map(str, value))
    return str(value)
