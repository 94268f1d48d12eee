"""Listens for coordinators."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from infermesh.proto.infermesh_load_v1 import load_pb2_grpc

from infermesh_perf.errors import SetupError
from infermesh_perf.load.worker_address import WorkerAddress
from infermesh_perf.load.worker_service import LoadWorkerService, Tell
from infermesh_perf.load.worker_tls import WorkerTls
from infermesh_perf.load.worker_wire import SERVER_OPTIONS

#: One run, and others that ask for the clock or are told that there is one.
THREADS = 8
STOP_SECONDS = 5.0


@contextmanager
def serving(address: WorkerAddress, tls: WorkerTls | None, tell: Tell) -> Iterator[WorkerAddress]:
    """A worker for as long as the block lasts, and where it listens; at the end its run is ended, too.

    `tell` gets a sentence for each run. Raises SetupError if the address cannot be bound.
    """
    service = LoadWorkerService(tell)
    server = grpc.server(
        ThreadPoolExecutor(THREADS), options=SERVER_OPTIONS, maximum_concurrent_rpcs=2 * THREADS
    )
    # The generated function has no types.
    add: Any = load_pb2_grpc.add_LoadWorkerServiceServicer_to_server
    add(service, server)
    try:
        if tls is None:
            port = server.add_insecure_port(str(address))
        else:
            port = server.add_secure_port(str(address), tls.server())
    except RuntimeError as error:
        raise SetupError(
            f"--listen {address}: cannot be bound: {error}", hint="choose another port, or 0 for a free one"
        ) from error
    server.start()
    try:
        yield WorkerAddress(address.host, port)
    finally:
        service.close()
        server.stop(STOP_SECONDS).wait(2 * STOP_SECONDS)
