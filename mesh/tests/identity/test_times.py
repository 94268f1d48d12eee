"""Spans of time, read and written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from infermesh.errors import ConfigurationError
from infermesh.identity.times import describe, parse_duration, point


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("24h", 86_400), ("7d", 604_800), ("1.5h", 5400), (" 1h ", 3600)],
)
def test_spans(text: str, seconds: float) -> None:
    assert parse_duration("--ttl", text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24",
        "h",
        "-1h",
        "0s",
        "1w",
        "1h30m",
        "1 h",
        "nan",
        "1e3s",
        "999999999d",
        "100001d",
        "9" * 400 + "s",
    ],
)
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--ttl: found .*, expected a time such as 90s"):
        parse_duration("--ttl", text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (12.9, "12 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3659, "1 h"),
        (60_480, "16 h 48 min"),
        (86_400, "1 d"),
        (86_400 * 9 + 3600 * 23, "9 d 23 h"),
    ],
)
def test_spans_for_people(seconds: float, text: str) -> None:
    assert describe(timedelta(seconds=seconds)) == text


def test_points_are_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert point(datetime(2030, 1, 1, 2, 30, 5, tzinfo=east)) == "2030-01-01 00:30:05 UTC"
    assert point(datetime(2030, 1, 1, tzinfo=UTC)) == "2030-01-01 00:00:00 UTC"
