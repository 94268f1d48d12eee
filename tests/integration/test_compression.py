"""Compressed requests, unary and in streams."""

import queue
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from infermesh.proto.inference import grpc_service_pb2_grpc
from support.client import SECONDS, floats, outputs, request
from support.server import Server

ALGORITHMS = ["gzip", "deflate"]


def tensor(values: Any) -> Any:
    found = triton.InferInput("x", list(values.shape), "FP32")
    found.set_data_from_numpy(values)
    return found


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("width", [1, 4, 1_000_000])
def test_a_unary_request(zoo: Server, algorithm: str, width: int) -> None:
    values = floats(1, width)
    with triton.InferenceServerClient(zoo.target) as client:
        result = client.infer(
            "scale", [tensor(values)], compression_algorithm=algorithm, client_timeout=SECONDS
        )
    assert np.array_equal(result.as_numpy("y"), 3 * values)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_stream(zoo: Server, algorithm: str) -> None:
    received: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
    with triton.InferenceServerClient(zoo.target) as client:
        client.start_stream(
            lambda result, error: received.put((result, error)), compression_algorithm=algorithm
        )
        for each in range(10):
            client.async_stream_infer("scale", [tensor(floats(1, 1000, start=each))])
        for each in range(10):
            result, error = received.get(timeout=SECONDS)
            assert error is None
            assert np.array_equal(result.as_numpy("y"), 3 * floats(1, 1000, start=each))
        client.stop_stream()


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_channel_that_compresses_everything(zoo: Server, compression: grpc.Compression) -> None:
    with grpc.insecure_channel(zoo.target, compression=compression) as channel:
        stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        response = stub.ModelInfer(request("scale", x=np.zeros((8, 10_000), np.float32)), timeout=SECONDS)
    assert not outputs(response)["y"].any()
