"""What went wrong with a worker, in a sentence that names it."""

from __future__ import annotations

from typing import Any

import grpc
from infermesh.errors import InfermeshError
from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.load.worker_address import WorkerAddress


def broken(worker: WorkerAddress, error: grpc.RpcError, *, secured: bool, known: bool) -> InfermeshError:
    """The error of a call; `known` is whether the worker has answered before."""
    # What a call raises is a call as well, which its declared type does not say.
    call: Any = error
    code, details = call.code(), call.details() or "without a message"
    if code is grpc.StatusCode.UNAVAILABLE and not known:
        tls = "Does it listen without TLS?" if secured else "Does it want TLS?"
        return RunError(
            f"cannot reach worker {worker}: {details}",
            hint=f"is `infermesh perf worker` running there, and does it listen on that address? {tls}",
        )
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return RunError(f"worker {worker} went away in the middle of the run: {details}")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return RunError(
            f"worker {worker} takes no run: {details}", hint="wait until it is free, or leave it out"
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return RunError(f"worker {worker} did not answer in time")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return SetupError(
            f"{worker} is no worker: it does not know the call",
            hint="give the address that `infermesh perf worker` says it listens on, not the server's",
        )
    return RunError(f"worker {worker} failed: {code.name}: {details}")


def refused(worker: WorkerAddress, failure: load_pb2.Failure) -> InfermeshError:
    """The error of a run that the worker cannot begin or go on with."""
    if failure.plan:
        return SetupError(f"worker {worker} refuses the plan: {failure.message}")
    return RunError(f"worker {worker}: {failure.message}")


def silent(worker: WorkerAddress, seconds: float) -> RunError:
    """The error of one that says nothing any more."""
    return RunError(
        f"worker {worker} has said nothing for {seconds:.0f} s: is its machine overloaded or gone?"
    )
