"""Tensors far beyond gRPC's usual 4 MB and beyond every window of HTTP/2."""

from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from numpy.typing import NDArray
from support.client import Client, outputs, request
from support.server import Server

MEGABYTE = 1 << 20


def random_values(megabytes: int) -> NDArray[np.float32]:
    return np.random.default_rng(megabytes).random((1, megabytes * MEGABYTE // 4), np.float32)


@pytest.mark.parametrize("megabytes", [1, 8, 40, 100])
def test_request_and_response(zoo: Server, megabytes: int) -> None:
    values = random_values(megabytes)
    tensor = triton.InferInput("x", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values)
    with triton.InferenceServerClient(zoo.target) as client:
        result: Any = client.infer("wide", [tensor], client_timeout=30)
    assert np.array_equal(result.as_numpy("y"), values)


def test_several_at_once_on_one_connection(client: Client) -> None:
    values = random_values(16)
    calls = [client.start(request("scale", x=values + each)) for each in range(6)]
    for each, call in enumerate(calls):
        assert np.array_equal(outputs(call.result())["y"], 3 * (values + each))


def test_in_a_stream(client: Client) -> None:
    values = random_values(16)
    for each, answer in enumerate(
        client.stream([request("wide", id_=str(each), x=values) for each in range(4)])
    ):
        assert answer.infer_response.id == str(each)
        assert np.array_equal(outputs(answer.infer_response)["y"], values)


def test_small_requests_go_on_beside_large_ones(zoo: Server, client: Client) -> None:
    large = client.start(request("wide", x=random_values(100)))
    with Client(zoo.target) as other:
        for each in range(20):
            found = outputs(other.infer(request("scale", x=np.full((1, 1), each, np.float32))))
            assert found["y"].tolist() == [[3.0 * each]]
    large.result()
