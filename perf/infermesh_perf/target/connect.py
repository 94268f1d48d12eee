"""Connects to a target over its protocol."""

from __future__ import annotations

from infermesh_perf.target.api import Api
from infermesh_perf.target.grpc_api import GrpcApi
from infermesh_perf.target.http_api import HttpApi
from infermesh_perf.target.sockets import connect as open_socket
from infermesh_perf.target.target import Target

SECONDS = 30.0


def connect(target: Target, timeout: float = SECONDS) -> Api:
    """A server to ask; no call takes longer than `timeout` seconds.

    Raises RunError if it cannot be reached, SetupError if it is not trusted.
    """
    # Both protocols' own errors say less about a connection that cannot be made, and in different words.
    open_socket(target.address, target.tls, timeout).close()
    return GrpcApi(target, timeout) if target.address.protocol == "grpc" else HttpApi(target, timeout)
