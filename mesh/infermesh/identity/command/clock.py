"""The time by which certificates are valid."""

from datetime import UTC, datetime


def now() -> datetime:
    """The time of day, as this machine has it."""
    return datetime.now(UTC)
