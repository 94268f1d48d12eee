"""Where a server is: what `-u` and `-i` say."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from infermesh_perf.errors import SetupError

Protocol = Literal["grpc", "http"]

#: Where v2 servers listen unless told otherwise.
DEFAULT_PORTS: dict[Protocol, int] = {"grpc": 8001, "http": 8000}

_SCHEMES: dict[str, tuple[Protocol, bool]] = {
    "grpc": ("grpc", False),
    "grpcs": ("grpc", True),
    "http": ("http", False),
    "https": ("http", True),
}
_EXPECTED = "expected host:port, [IPv6]:port, grpc(s)://host:port, http(s)://host:port or unix:/path"


@dataclass(frozen=True)
class Address:
    """One server: `host` (IPv6 without brackets) and `port`, or the `path` of a unix socket."""

    protocol: Protocol
    host: str = "localhost"
    port: int = 0
    path: str = ""
    tls: bool = False

    @property
    def authority(self) -> str:
        """`host:port` as `:authority` and `Host` have it; `localhost` for a unix socket."""
        if self.path:
            return "localhost"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def text(self) -> str:
        """What a load plan's target has: `host:port`, or `unix:` and the path."""
        return f"unix:{self.path}" if self.path else self.authority

    @property
    def url(self) -> str:
        """The address with its protocol, as `-u` takes it."""
        return self.text if self.path else f"{self.protocol}{'s' if self.tls else ''}://{self.text}"

    def __str__(self) -> str:
        return self.url


def parse(url: str = "", protocol: str = "", *, tls: bool = False) -> Address:
    """The address that `-u` names, localhost if it names none; over gRPC unless it or `-i` says HTTP.

    `tls` is whether other options, such as a certificate, ask for TLS. Without a port it is 8001 for gRPC and
    8000 for HTTP. Raises SetupError for anything else, and where the three contradict each other.
    """
    wanted = _protocol(protocol)
    if url.startswith("unix:"):
        return _unix(url, wanted, tls)
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _address(url, rest=url, protocol=wanted or "grpc", tls=tls)
    if scheme.lower() not in _SCHEMES:
        raise SetupError(f"-u: found {url!r}, {_EXPECTED}")
    said, encrypted = _SCHEMES[scheme.lower()]
    if wanted and wanted != said:
        raise SetupError(f"-u {url} asks for {said}, but -i for {wanted}", hint="leave out -i")
    if tls and not encrypted:
        raise SetupError(f"-u {url} is not encrypted, but TLS options are given", hint=f"-u {said}s://{rest}")
    return _address(url, rest, said, encrypted)


def _protocol(text: str) -> Protocol | None:
    match text.lower():
        case "":
            return None
        case "grpc":
            return "grpc"
        case "http" | "rest":
            return "http"
    raise SetupError(f"-i: found {text!r}, expected grpc or http")


def _unix(url: str, wanted: Protocol | None, tls: bool) -> Address:
    # gRPC's own spelling has two more slashes.
    path = url.removeprefix("unix:").removeprefix("//")
    if not path.startswith("/"):
        raise SetupError(
            f"-u: found {url!r}, expected unix: and an absolute path, such as unix:/run/grpc.sock"
        )
    if wanted == "http" or tls:
        what = "HTTP" if wanted == "http" else "TLS"
        raise SetupError(f"-u {url}: a unix socket is reached over plain gRPC, found options for {what}")
    return Address("grpc", path=path)


def _address(url: str, rest: str, protocol: Protocol, tls: bool) -> Address:
    wrong = SetupError(f"-u: found {url!r}, {_EXPECTED}")
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise wrong from error
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise SetupError(f"-u: found {url!r}, expected a host and a port without a path or a user")
    if rest in ("", "/"):
        host = "localhost"
    if not host or port == 0 or any(character.isspace() for character in rest):
        raise wrong
    if ":" in host and not _is_ipv6(host):
        raise wrong
    return Address(protocol, host, port or DEFAULT_PORTS[protocol], tls=tls)


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
