from datetime import timedelta

import pytest
from infermesh.deploy.kubernetes.durations import milliseconds, seconds, short


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (timedelta(seconds=90), "90s"),
        (timedelta(seconds=1.5), "1500ms"),
        (timedelta(milliseconds=250), "250ms"),
        (timedelta(microseconds=300), "1ms"),
    ],
)
def test_whole_numbers(time: timedelta, text: str) -> None:
    assert short(time) == text


def test_nothing_becomes_never() -> None:
    assert milliseconds(timedelta(microseconds=1)) == 1


def test_seconds_are_enough() -> None:
    assert seconds(timedelta(milliseconds=1001)) == 2
