"""The shop of examples/checkout in a process of its own, and what it says."""

import http.client
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checkout.processes import running
from infermesh_perf.processes import free_ports


@dataclass(frozen=True)
class Said:
    """An answer of the shop."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Shop:
    """Where it listens."""

    port: int

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Said:
        """A request on a connection of its own; an iterator of bytes is sent in chunks."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Said(answer.status, dict(answer.headers), answer.read())

    def order(self, document: Any, headers: dict[str, str] | None = None) -> Said:
        """Place an order."""
        return self.ask("POST", "/orders", json.dumps(document), headers)


@contextmanager
def open_shop(log: Path) -> Iterator[Shop]:
    """A shop with an empty book for as long as the block lasts."""
    (port,) = free_ports(1)
    command = (sys.executable, "-m", "checkout.shop", "--port", str(port))
    with running("the shop", command, log, port=port, ready="/healthz"):
        yield Shop(port)
