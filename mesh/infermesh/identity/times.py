"""Spans and points of time as people write and read them."""

import contextlib
import re
from datetime import UTC, datetime, timedelta

from infermesh.errors import ConfigurationError

_DURATION = re.compile(r"(?P<number>\d{1,9}(\.\d{1,9})?)(?P<unit>[smhd])")
#: Far more than anybody means, and what can be added to any date that there is.
_LONGEST = timedelta(days=100_000)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SECONDS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def parse_duration(option: str, text: str) -> timedelta:
    """The time that ``90s``, ``30m``, ``24h`` or ``7d`` stand for.

    Raises ConfigurationError, naming the option, for anything else, and for no time at all.
    """
    found = _DURATION.fullmatch(text.strip())
    span = timedelta(0)
    if found is not None:
        with contextlib.suppress(OverflowError):
            span = timedelta(**{_UNITS[found["unit"]]: float(found["number"])})
    if not timedelta(0) < span <= _LONGEST:
        raise ConfigurationError(f"{option}: found {text!r}, expected a time such as 90s, 30m, 24h or 7d")
    return span


def point(moment: datetime) -> str:
    """A moment to the second, such as ``2026-11-27 08:30:00 UTC``; it is aware of its time zone."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def describe(span: timedelta) -> str:
    """The two largest units of a time that is not negative: ``9 d 23 h``, ``16 h 48 min``, ``12 s``."""
    seconds = int(span.total_seconds())
    for place, (name, size) in enumerate(_SECONDS):
        if seconds >= size or size == 1:
            whole, rest = divmod(seconds, size)
            below = _SECONDS[place + 1 : place + 2]
            parts = [f"{whole} {name}", *(f"{rest // s} {n}" for n, s in below if rest >= s)]
            return " ".join(parts)
    raise AssertionError("a second is the last unit")
