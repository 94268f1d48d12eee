"""A v2 server over gRPC with one model, whose answer a test computes from its inputs."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference.grpc_service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)
from numpy.typing import NDArray

from support.client import from_raw

SECONDS = 30

Inputs = Mapping[str, NDArray[Any]]


class Scoring(GRPCInferenceServiceServicer):
    """A model whose inputs are named and typed by ``inputs``, with one FP32 output, `score`."""

    def __init__(self, inputs: Mapping[str, tuple[str, list[int]]], score: Callable[[Inputs], float]) -> None:
        self.port = 0
        self._inputs = inputs
        self._score = score

    def ServerMetadata(self, request: Any, context: Any) -> pb.ServerMetadataResponse:  # noqa: N802, ARG002
        return pb.ServerMetadataResponse(name="scoring", version="1")

    def ModelMetadata(self, request: Any, context: Any) -> pb.ModelMetadataResponse:  # noqa: N802, ARG002
        found = pb.ModelMetadataResponse(name=request.name, versions=["1"])
        for name, (datatype, shape) in self._inputs.items():
            found.inputs.add(name=name, datatype=datatype, shape=shape)
        found.outputs.add(name="score", datatype="FP32", shape=[-1, 1])
        return found

    def ModelInfer(self, request: Any, context: Any) -> pb.ModelInferResponse:  # noqa: N802, ARG002
        raw = zip(request.inputs, request.raw_input_contents, strict=True)
        arrays = {it.name: from_raw(it.datatype, it.shape, data) for it, data in raw}
        answer = pb.ModelInferResponse(model_name=request.model_name, model_version="1")
        answer.outputs.add(name="score", datatype="FP32", shape=[1, 1])
        answer.raw_output_contents.append(np.float32(self._score(arrays)).tobytes())
        return answer


@contextmanager
def scoring(
    inputs: Mapping[str, tuple[str, list[int]]], score: Callable[[Inputs], float]
) -> Iterator[Scoring]:
    """The server, for as long as the block lasts."""
    # What it does not define answers UNIMPLEMENTED.
    service = Scoring(inputs, score)  # type: ignore[abstract]
    server = grpc.server(ThreadPoolExecutor(8))
    add_GRPCInferenceServiceServicer_to_server(service, server)
    service.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield service
    finally:
        server.stop(None).wait(SECONDS)
