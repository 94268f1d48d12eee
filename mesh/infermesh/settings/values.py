"""Values that people write as text: durations, sizes, shares, addresses. Each is read strictly."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any


class ExpectedError(ValueError):
    """A value that cannot be used; the message is what is expected in its place."""


_TIMES = {"us": 1, "ms": 1000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_TIME = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(us|ms|s|m|h|d)", re.ASCII)
_SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DECIMAL_SIZES = {"kB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,9})?) ?([kMG]?B|[KMGT]iB)", re.ASCII)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)%", re.ASCII)

_HOST_AND_PORT = re.compile(
    r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+(?:%\w+)?)\]|(?P<name>[\w.-]+)):(?P<port>\d{1,5})", re.ASCII
)

_LONGEST = timedelta(days=365)
_MAX_PORT = 65_535


def parse_duration(value: Any) -> timedelta:
    """``50ms``, ``1.5s``, ``2m``, ``24h``, ``7d``; to the microsecond. Raises ExpectedError."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is not None:
        microseconds = Decimal(found[1]) * _TIMES[found[2]]
        if microseconds == int(microseconds) and microseconds <= _LONGEST / timedelta(microseconds=1):
            return timedelta(microseconds=int(microseconds))
    raise ExpectedError("a time such as 50ms, 1.5s or 2m, of a year at most")


def format_duration(value: timedelta) -> str:
    """In the largest unit in which it is a whole number."""
    microseconds = round(value / timedelta(microseconds=1))
    if microseconds == 0:
        return "0s"
    unit = next(it for it in reversed(_TIMES) if microseconds % _TIMES[it] == 0)
    return f"{microseconds // _TIMES[unit]}{unit}"


def parse_size(value: Any) -> int:
    """``64KiB``, ``16MiB``, ``1GiB``, ``500kB``; in bytes. Raises ExpectedError."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is not None:
        size = Decimal(found[1]) * {**_SIZES, **_DECIMAL_SIZES}[found[2]]
        if size == int(size) and 0 < size < 2**63:
            return int(size)
    raise ExpectedError("a size such as 64KiB, 16MiB or 1GiB")


def format_size(value: int) -> str:
    """In the largest binary unit in which it is a whole number."""
    unit = next(it for it in reversed(_SIZES) if value % _SIZES[it] == 0)
    return f"{value // _SIZES[unit]}{unit}"


def parse_share(value: Any) -> float:
    """``1%`` or 0.01, from nothing to all. Raises ExpectedError."""
    share: Decimal | None = None
    if isinstance(value, str) and (found := _SHARE.fullmatch(value)):
        share = Decimal(found[1]) / 100
    elif isinstance(value, float):
        # A whole number says too little: 1 may be meant to be a hundredth, or all.
        share = Decimal(str(value))
    if share is not None and 0 <= share <= 1:
        return float(share)
    raise ExpectedError("a share such as 1% or 0.01, 100% at most")


def format_share(value: float) -> str:
    """In percent."""
    return f"{(Decimal(str(value)) * 100).normalize():f}%"


#: What the kernel has room for, with the zero at its end.
_MAX_UNIX_PATH = 107


def check_listen_address(value: str) -> str:
    """HOST:PORT, [IPv6]:PORT or unix:PATH; port 0 stands for any that is free. Raises ExpectedError."""
    if value.startswith("unix:"):
        if 0 < len(value.removeprefix("unix:").encode()) <= _MAX_UNIX_PATH:
            return value
    elif split_address(value) is not None:
        return value
    raise ExpectedError("HOST:PORT such as 127.0.0.1:8001, [IPv6]:PORT or unix:PATH")


def check_endpoint(value: str) -> str:
    """As ``check_listen_address``, of somebody who can be connected to. Raises ExpectedError."""
    parts = split_address(check_listen_address(value))
    if parts is not None and parts[1] == 0:
        raise ExpectedError("a port from 1 to 65535")
    return value


def check_host_and_port(value: str) -> str:
    """HOST:PORT or [IPv6]:PORT. Raises ExpectedError."""
    if split_address(value) is None:
        raise ExpectedError("HOST:PORT such as 127.0.0.1:15000, or [IPv6]:PORT")
    return value


def split_address(value: str) -> tuple[str, int] | None:
    """Host, without brackets, and port; None if it is neither HOST:PORT nor [IPv6]:PORT."""
    found = _HOST_AND_PORT.fullmatch(value)
    if found is None or int(found["port"]) > _MAX_PORT:
        return None
    return found["name"] or found["ipv6"], int(found["port"])
