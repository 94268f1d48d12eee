"""The least that a v2 server over gRPC is: one model, which keeps the metadata of what it is asked."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference.grpc_service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)

SECONDS = 30


@dataclass
class Recording(GRPCInferenceServiceServicer):
    """Its model `m` takes and gives one number. `refuse`: every inference fails with it."""

    refuse: grpc.StatusCode | None = None
    seen: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    _news: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, inferences: int) -> None:
        """Return when there were so many."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.seen) >= inferences, SECONDS), self.seen

    def ServerMetadata(self, request: Any, context: Any) -> pb.ServerMetadataResponse:  # noqa: N802, ARG002
        return pb.ServerMetadataResponse(name="recording", version="1")

    def ModelMetadata(self, request: Any, context: Any) -> pb.ModelMetadataResponse:  # noqa: N802, ARG002
        found = pb.ModelMetadataResponse(name="m", versions=["1"])
        found.inputs.add(name="x", datatype="INT32", shape=[1])
        found.outputs.add(name="y", datatype="INT32", shape=[1])
        return found

    def ModelInfer(self, request: Any, context: Any) -> pb.ModelInferResponse:  # noqa: N802, ARG002
        with self._news:
            self.seen.append(dict(context.invocation_metadata()))
            self._news.notify_all()
        # The first one is answered: it is the one that shows whether the model takes what is sent.
        if self.refuse and len(self.seen) > 1:
            context.abort(self.refuse, "not now")
        return pb.ModelInferResponse(model_name="m")


@contextmanager
def recording(**options: Any) -> Iterator[Recording]:
    """The server, for as long as the block lasts."""
    # What it does not define answers UNIMPLEMENTED.
    service = Recording(**options)  # type: ignore[abstract]
    server = grpc.server(ThreadPoolExecutor(2))
    add_GRPCInferenceServiceServicer_to_server(service, server)
    service.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield service
    finally:
        server.stop(None).wait(SECONDS)
