"""gRPC's statuses as errors that say who has to do what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from infermesh.errors import InfermeshError

from infermesh_perf.errors import RunError
from infermesh_perf.target.address import Address
from infermesh_perf.target.errors import RefusedError, denied


def translate(
    error: grpc.RpcError, address: Address, what: str, connected: Callable[[], bool]
) -> InfermeshError:
    """The error of a call `what`, such as `ModelMetadata of 'm'`, to raise in place of gRPC's.

    `connected` is asked where the status may be the server's, or gRPC's own for a server that is not there.
    """
    # What a blocking call raises is a call as well, which its declared type does not say.
    call: Any = error
    code, details = call.code(), call.details() or ""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return RunError(f"{address} did not answer {what} in time")
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return denied(address, code.name, details)
    if code is grpc.StatusCode.UNAVAILABLE and not connected():
        return RunError(f"cannot reach {address}: {details}", _hint(address, details))
    return RefusedError(address, what, code.name, details)


def _hint(address: Address, details: str) -> str:
    if "http1" in details.lower():
        return "this looks like a port for HTTP: -i http"
    if address.tls:
        return "does the server want a client certificate? --cert and --key"
    return f"is this its port for gRPC? If it is encrypted, say grpcs://{address.text}"
