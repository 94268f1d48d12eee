"""Under concurrency every caller gets exactly its own rows, whatever shares a batch with them."""

import asyncio
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2_grpc
from numpy.typing import NDArray
from support import onnx_models
from support.client import SECONDS, Client, outputs, request
from support.python_models import REVERSE
from support.repository import Repository
from support.server import LOOPBACK, Server

#: Model, inputs, expected output.
Sample = tuple[str, dict[str, Any], NDArray[Any]]

MAX_ROWS = 8
BATCHING = "max_batch_size: 16\ndynamic_batching { max_queue_delay_microseconds: 500 }\n"


def scale(rng: np.random.Generator, model: str = "scale") -> Sample:
    x = rng.integers(-1000, 1000, (rng.integers(1, MAX_ROWS + 1), rng.integers(1, 4))).astype(np.float32)
    return model, {"x": x}, 3 * x


def add(rng: np.random.Generator) -> Sample:
    a, b = rng.integers(-1000, 1000, (2, rng.integers(1, MAX_ROWS + 1), 16)).astype(np.float32)
    return "add", {"a": a, "b": b}, a + b


def text(rng: np.random.Generator) -> Sample:
    rows = rng.integers(1, MAX_ROWS + 1)
    rows_of_text = [[rng.bytes(int(rng.integers(0, 40))).hex().encode()] * 4 for _ in range(rows)]
    x: NDArray[Any] = np.array(rows_of_text, dtype=object)
    return "text", {"x": x}, x


def reverse(rng: np.random.Generator) -> Sample:
    x: NDArray[Any] = np.array(
        [[rng.bytes(int(rng.integers(0, 40)))] for _ in range(rng.integers(1, MAX_ROWS + 1))], dtype=object
    )
    return "reverse", {"x": x}, np.array([[row[0][::-1]] for row in x], dtype=object)


SAMPLES: list[Callable[[np.random.Generator], Sample]] = [
    scale,
    lambda rng: scale(rng, "delayed"),
    add,
    text,
    reverse,
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = Repository.make(tmp_path_factory.mktemp("own-rows"))
    repository.onnx("scale", onnx_models.scale(3.0, ("n", "m")))
    repository.onnx("delayed", onnx_models.scale(3.0, ("n", "m")), config=BATCHING + two_instances())
    repository.onnx("add", onnx_models.add())
    repository.onnx("text", onnx_models.identity("BYTES"), config=BATCHING)
    repository.python("reverse", REVERSE, config=two_instances())
    server = Server(repository.root, *LOOPBACK)
    try:
        server.wait_ready()
        yield server
        assert server.stop() == 0
    finally:
        if server.running:
            server.kill()


def two_instances() -> str:
    return "instance_group { count: 2 }\n"


def check(response: Any, expected: NDArray[Any], id_: str) -> None:
    assert response.id == id_
    (received,) = outputs(response).values()
    assert received.shape == expected.shape
    assert np.array_equal(received, expected)


@pytest.mark.parametrize("seed", [1, 2])
def test_from_threads(models: Server, seed: int) -> None:
    def call(caller: int) -> None:
        rng = np.random.default_rng([seed, caller])
        with Client(models.target) as client:
            for each in range(60):
                model, tensors, expected = SAMPLES[rng.integers(len(SAMPLES))](rng)
                id_ = f"{caller}/{each}"
                check(client.infer(request(model, id_=id_, **tensors)), expected, id_)

    with ThreadPoolExecutor(12) as callers:
        for done in [callers.submit(call, caller) for caller in range(12)]:
            done.result()


@pytest.mark.parametrize("seed", [3, 4])
def test_from_one_connection_with_many_calls_under_way(models: Server, seed: int) -> None:
    async def call(stub: Any, each: int) -> None:
        rng = np.random.default_rng([seed, each])
        model, tensors, expected = SAMPLES[each % len(SAMPLES)](rng)
        response = await stub.ModelInfer(request(model, id_=str(each), **tensors), timeout=SECONDS)
        check(response, expected, str(each))

    async def run() -> None:
        async with grpc.aio.insecure_channel(models.target) as channel:
            stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
            await asyncio.gather(*(call(stub, each) for each in range(1000)))

    asyncio.run(run())


def test_from_streams_beside_unary_calls(models: Server) -> None:
    def stream(caller: int) -> None:
        rng = np.random.default_rng([5, caller])
        samples = [SAMPLES[rng.integers(len(SAMPLES))](rng) for _ in range(150)]
        with Client(models.target) as client:
            answers = client.stream(
                [request(model, id_=str(each), **tensors) for each, (model, tensors, _) in enumerate(samples)]
            )
            for each, (answer, (_, _, expected)) in enumerate(zip(answers, samples, strict=True)):
                assert answer.error_message == ""
                check(answer.infer_response, expected, str(each))

    with ThreadPoolExecutor(6) as callers:
        for done in [callers.submit(stream, caller) for caller in range(6)]:
            done.result()


def test_good_requests_are_untouched_by_bad_and_cancelled_ones(models: Server) -> None:
    def call(caller: int) -> None:
        rng, chance = np.random.default_rng([6, caller]), random.Random(caller)
        with Client(models.target) as client:
            for each in range(60):
                model, tensors, expected = SAMPLES[rng.integers(len(SAMPLES))](rng)
                message = request(model, id_=str(each), **tensors)
                match chance.randrange(4):
                    case 0:
                        message.raw_input_contents[0] += b"x"
                        with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT"):
                            client.infer(message)
                    case 1:
                        client.start(message).cancel()
                    case _:
                        check(client.infer(message), expected, str(each))

    with ThreadPoolExecutor(8) as callers:
        for done in [callers.submit(call, caller) for caller in range(8)]:
            done.result()


def test_rows_were_really_batched_together(models: Server) -> None:
    with Client(models.target) as client:
        calls = [client.start(request("delayed", x=np.full((1, 2), each, np.float32))) for each in range(200)]
        for each, call in enumerate(calls):
            assert outputs(call.result())["y"].tolist() == [[3.0 * each] * 2]
        found = client.statistics("delayed")
    assert found.execution_count < found.inference_stats.success.count
    assert max(each.batch_size for each in found.batch_stats) > MAX_ROWS
