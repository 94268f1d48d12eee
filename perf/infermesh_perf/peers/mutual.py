"""Mutual TLS between two proxies, as a mesh has it: each shows a SPIFFE identity of one trust domain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TRUST_DOMAIN = "bench.infermesh"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Mutual:
    """TLS on one side of a proxy, whose identity lies in the folder as `infermesh identity issue` writes it.

    Towards its upstream the proxy is the client, towards its callers the server.
    """

    identity: Path
    towards: Literal["callers", "upstream"]

    @property
    def presented(self) -> Path | None:
        """An identity that callers may present, if they need one: the proxy's own is of the trust domain."""
        return self.identity if self.towards == "callers" else None
