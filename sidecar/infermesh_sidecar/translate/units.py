"""Units of the messages."""

from datetime import timedelta


def nanoseconds(duration: timedelta | None) -> int:
    """0 for none, as the messages have it."""
    return 0 if duration is None else round(duration / timedelta(microseconds=1)) * 1000
