"""Units of the messages."""

from datetime import timedelta


def millionths(share: float) -> int:
    """Of a share between 0 and 1."""
    return round(share * 1_000_000)


def nanoseconds(duration: timedelta | None) -> int:
    """0 for none, as the messages have it."""
    return 0 if duration is None else round(duration / timedelta(microseconds=1)) * 1000
