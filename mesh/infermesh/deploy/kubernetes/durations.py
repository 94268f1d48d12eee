"""Times, as service meshes read them: whole numbers, of milliseconds where they have to be."""

import math
from datetime import timedelta


def milliseconds(time: timedelta) -> int:
    """Of a time; what is shorter than one counts as one, because 0 is `never` or `at once` to many."""
    return max(1, round(time.total_seconds() * 1000))


def short(time: timedelta) -> str:
    """Such as 30s or 250ms, never with a fraction, which Linkerd does not read."""
    whole = milliseconds(time)
    return f"{whole // 1000}s" if whole % 1000 == 0 else f"{whole}ms"


def seconds(time: timedelta) -> int:
    """Whole seconds, rounded up."""
    return math.ceil(time.total_seconds())


def protobuf(time: timedelta) -> str:
    """As protobuf writes it in JSON: seconds, and nothing else."""
    return f"{time.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
