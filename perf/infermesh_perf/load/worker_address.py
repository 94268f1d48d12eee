"""Where workers listen."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from infermesh_perf.errors import SetupError

PORT = 9410


@dataclass(frozen=True)
class WorkerAddress:
    """`host` has no brackets; port 0 is any free one, which only whoever listens can use."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether nobody on another machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse(option: str, text: str, *, listens: bool = False) -> WorkerAddress:
    """`HOST`, `HOST:PORT` or `[IPv6]:PORT`. Raises SetupError, which names the option, for anything else."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, PORT if parts.port is None else parts.port
    except ValueError:
        host, port = None, 0
    if not host or parts.netloc != text or "@" in text or any(character.isspace() for character in text):
        raise SetupError(f"{option}: found {text!r}, expected HOST:PORT such as 10.0.0.5:{PORT}")
    if port == 0 and not listens:
        raise SetupError(f"{option}: found {text!r}, expected the port that the worker says it listens on")
    return WorkerAddress(host, port)
