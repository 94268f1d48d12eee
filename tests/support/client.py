"""Calls through the generated stubs, where tritonclient would be in the way."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
import pytest
from infermesh.proto.grpc_health_v1 import health_pb2_grpc
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference import grpc_service_pb2_grpc
from numpy.typing import NDArray

from support.onnx_models import DATATYPES

#: No call of a test waits longer.
SECONDS = 20.0

_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A connection of its own for every client, instead of one per process and address.
    ("grpc.use_local_subchannel_pool", 1),
]


class Client:
    """One connection, with the stubs of what the tests call."""

    def __init__(self, target: str, *options: tuple[str, int | str]) -> None:
        self.channel = grpc.insecure_channel(target, options=[*_OPTIONS, *options])
        self._calls: list[Any] = []
        self.inference = grpc_service_pb2_grpc.GRPCInferenceServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)
        # Requests that are made before there is a connection need not keep their order.
        self.inference.ServerLive(pb.ServerLiveRequest(), timeout=SECONDS, wait_for_ready=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.channel.close()

    def infer(self, request: pb.ModelInferRequest, timeout: float = SECONDS) -> pb.ModelInferResponse:
        """One unary inference."""
        return self.inference.ModelInfer(request, timeout=timeout)

    def start(self, request: pb.ModelInferRequest, timeout: float = SECONDS) -> Any:
        """An inference whose answer is not awaited here: a future that is also a call."""
        call = self.inference.ModelInfer.future(request, timeout=timeout)
        # A call that nobody refers to is cancelled.
        self._calls.append(call)
        return call

    def stream(
        self, requests: Iterator[pb.ModelInferRequest] | Sequence[pb.ModelInferRequest], **metadata: str
    ) -> Any:
        """A stream of inferences: an iterator of answers that is also a call."""
        return self.inference.ModelStreamInfer(
            iter(requests), timeout=SECONDS, metadata=tuple(metadata.items())
        )

    def fence(self) -> None:
        """Return when the server has taken in everything that was sent on this connection before.

        It reads a connection's frames in order and hands requests to their queue in that order.
        """
        for _ in range(2):
            assert self.inference.ServerLive(pb.ServerLiveRequest(), timeout=SECONDS).live

    def statistics(self, model: str) -> pb.ModelStatistics:
        """The statistics of a model that has one version."""
        (found,) = self.inference.ModelStatistics(
            pb.ModelStatisticsRequest(name=model), timeout=SECONDS
        ).model_stats
        return found

    def index(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Name and version to state and reason."""
        models = self.inference.RepositoryIndex(pb.RepositoryIndexRequest(), timeout=SECONDS).models
        return {(model.name, model.version): (model.state, model.reason) for model in models}


@contextmanager
def refused(code: grpc.StatusCode, *fragments: str) -> Iterator[None]:
    """The block ends with this status, and a message that holds every fragment."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    found, message = status(caught.value)
    assert (found, message) == (code, message)
    for fragment in fragments:
        assert fragment in message


def status(error: object) -> tuple[grpc.StatusCode, str]:
    """Code and message of a call or of the error it raised."""
    assert isinstance(error, grpc.Call)
    return error.code(), error.details() or ""


def wire_name(array: NDArray[Any]) -> str:
    """The protocol's name of an array's type."""
    return next(name for name, (_, dtype) in DATATYPES.items() if np.dtype(dtype) == array.dtype)


def to_raw(array: NDArray[Any]) -> bytes:
    """An array as raw_input_contents."""
    if array.dtype == np.object_:
        return b"".join(struct.pack("<I", len(element)) + element for element in array.reshape(-1))
    return array.tobytes()


def from_raw(datatype: str, shape: Sequence[int], raw: bytes) -> NDArray[Any]:
    """An array from raw_output_contents; the size must be just that of the shape."""
    if datatype != "BYTES":
        array: NDArray[Any] = np.frombuffer(raw, DATATYPES[datatype][1]).reshape(shape)
        return array
    elements = np.empty(prod(shape), dtype=object)
    at = 0
    for index in range(len(elements)):
        (length,) = struct.unpack_from("<I", raw, at)
        elements[index] = raw[at + 4 : at + 4 + length]
        at += 4 + length
    assert at == len(raw)
    return elements.reshape(shape)


def request(model: str, *, id_: str = "", version: str = "", **tensors: NDArray[Any]) -> pb.ModelInferRequest:
    """A request with raw contents."""
    return pb.ModelInferRequest(
        model_name=model,
        model_version=version,
        id=id_,
        inputs=[
            pb.ModelInferRequest.InferInputTensor(name=name, datatype=wire_name(array), shape=array.shape)
            for name, array in tensors.items()
        ],
        raw_input_contents=[to_raw(array) for array in tensors.values()],
    )


def outputs(response: pb.ModelInferResponse) -> dict[str, NDArray[Any]]:
    """The tensors of an answer by name."""
    assert len(response.outputs) == len(response.raw_output_contents)
    return {
        output.name: from_raw(output.datatype, output.shape, raw)
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }


def ints(*rows: Sequence[int]) -> NDArray[np.int32]:
    """Rows of INT32."""
    return np.array(rows, np.int32)


def floats(*shape: int, start: float = 0.0) -> NDArray[np.float32]:
    """FP32 of a shape, each element different."""
    return (start + np.arange(prod(shape), dtype=np.float32)).reshape(shape)
