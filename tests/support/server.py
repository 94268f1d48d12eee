"""A real ``infermesh serve`` process: started, followed through its log, stopped."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from support.process import Process, stop_in_order

COMMAND = Path(sys.executable).with_name("infermesh")

#: Any port of this machine.
LOOPBACK = ("--grpc-address", "127.0.0.1", "--grpc-port", "0")

#: Each test opens the ports that it uses, so that tests can run beside each other.
_LISTENERS = {"--http-port": "--no-http", "--metrics-port": "--no-metrics"}


class Server(Process):
    """A server with these options."""

    def __init__(self, *arguments: str | Path, within: Sequence[str] = ()) -> None:
        # `within` is a command that runs another one, in its place.
        absent = [off for on, off in _LISTENERS.items() if on not in arguments]
        super().__init__([*within, COMMAND, "serve", *arguments, *absent, "--log-format", "json"])

    @property
    def port(self) -> int:
        """The TCP port that it bound."""
        return int(self.wait_for("server-listening", with_field="server.port")["server.port"])

    @property
    def http_port(self) -> int:
        """The port that it bound for HTTP."""
        return self._port_of("/v2")

    @property
    def metrics_port(self) -> int:
        """The port that it bound for metrics."""
        return self._port_of("/metrics")

    def _port_of(self, path: str) -> int:
        record = self.wait_for("server-listening", lambda it: it["url.path"] == path, with_field="url.path")
        return int(record["server.port"])

    @property
    def target(self) -> str:
        """Where gRPC clients find it."""
        return f"127.0.0.1:{self.port}"

    def wait_ready(self) -> None:
        """Return when it says that it serves every model."""
        self.wait_for("server-ready")


#: Starts a server on the test's own repository; the arguments are further options.
Serve = Callable[..., Server]


@contextlib.contextmanager
def serving(
    *arguments: str | Path, until: str = "server-ready", within: Sequence[str] = ()
) -> Iterator[Server]:
    """A server for as long as the block lasts, from the record of this action on; it ends in order."""
    server = Server(*arguments, within=within)
    try:
        server.wait_for(until)
        yield server
        stop_in_order(server)
    finally:
        if server.running:
            server.kill()
