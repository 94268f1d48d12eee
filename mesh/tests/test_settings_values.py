"""Durations, sizes, shares and addresses as people write them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from infermesh.settings import values
from infermesh.settings.values import ExpectedError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("50ms", 0.05), ("1.5s", 1.5), ("2m", 120), ("24h", 86_400), ("7d", 604_800), ("10us", 1e-5), ("0s", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert values.parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "5", "fast", "-1s", "1 s", "1sec", "1h30m", "1e3s", "٣s", "0.1us", "9999999d", 5, 1.5, None, True],
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ExpectedError, match="a time such as 50ms"):
        values.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("64KiB", 65_536),
        ("16MiB", 16_777_216),
        ("1.5GiB", 1_610_612_736),
        ("500kB", 500_000),
        ("1 MB", 10**6),
        ("1B", 1),
    ],
)
def test_sizes(text: str, bytes_: int) -> None:
    assert values.parse_size(text) == bytes_


@pytest.mark.parametrize(
    "text", ["0B", "16", "16M", "16mib", "-1B", "0.5B", "big", 16, None, "99999999999TiB"]
)
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ExpectedError, match="a size such as 64KiB"):
        values.parse_size(text)


@pytest.mark.parametrize(
    ("text", "share"), [("1%", 0.01), ("0.5%", 0.005), ("100%", 1), ("0%", 0), (0.01, 0.01), (1.0, 1)]
)
def test_shares(text: object, share: float) -> None:
    assert values.parse_share(text) == share


@pytest.mark.parametrize("text", [1, 0, "1", "101%", "-1%", -0.1, 1.1, True, None, "half"])
def test_what_is_no_share(text: object) -> None:
    with pytest.raises(ExpectedError, match="a share such as 1%"):
        values.parse_share(text)


@pytest.mark.parametrize("text", ["50ms", "1500ms", "2m", "25h", "0s", "7d", "1us", "90m"])
def test_durations_are_shown_as_they_are_read(text: str) -> None:
    assert values.format_duration(values.parse_duration(text)) == text


@pytest.mark.parametrize("text", ["64KiB", "1B", "1000B", "3TiB", "1536MiB"])
def test_sizes_are_shown_as_they_are_read(text: str) -> None:
    assert values.format_size(values.parse_size(text)) == text


@pytest.mark.parametrize("text", ["1%", "0.5%", "100%", "0%", "12.25%"])
def test_shares_are_shown_as_they_are_read(text: str) -> None:
    assert values.format_share(values.parse_share(text)) == text


LISTEN, ENDPOINT, PORT = values.check_listen_address, values.check_endpoint, values.check_host_and_port


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (LISTEN, "127.0.0.1:0"),
        (LISTEN, "[::]:8001"),
        (LISTEN, "unix:/run/a.sock"),
        (ENDPOINT, "fraud.ml.svc.cluster.local:8001"),
        (ENDPOINT, "[fe80::1%eth0]:8001"),
        (ENDPOINT, "unix:a.sock"),
        (PORT, "localhost:0"),
    ],
)
def test_addresses(check: Callable[[str], str], text: str) -> None:
    assert check(text) == text


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (LISTEN, "8001"),
        (LISTEN, ":8001"),
        (LISTEN, "127.0.0.1"),
        (LISTEN, "::1:8001x"),
        (LISTEN, "::1:8001"),
        (LISTEN, "a:65536"),
        (LISTEN, "http://a:1"),
        (LISTEN, "unix:"),
        (LISTEN, "unix:/" + "a" * 107),
        (ENDPOINT, "a:0"),
        (PORT, "unix:/run/a.sock"),
    ],
)
def test_what_is_no_address(check: Callable[[str], str], text: str) -> None:
    with pytest.raises(ExpectedError):
        check(text)


def test_an_address_has_parts() -> None:
    assert values.split_address("[::1]:8001") == ("::1", 8001)
    assert values.split_address("a.b:1") == ("a.b", 1)
