"""tritonclient's asynchronous client: unary and stream."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc.aio as triton
from support.client import floats
from support.server import Server
from tritonclient.utils import InferenceServerException


def tensor(values: Any) -> Any:
    found = triton.InferInput("x", list(values.shape), "FP32")
    return found.set_data_from_numpy(values)


def test_many_unary_calls_at_once(zoo: Server) -> None:
    async def call() -> list[Any]:
        async with triton.InferenceServerClient(zoo.target) as client:
            return await asyncio.gather(
                *(
                    client.infer("scale", [tensor(floats(1, 4, start=each))], request_id=str(each))
                    for each in range(100)
                )
            )

    results = asyncio.run(asyncio.wait_for(call(), 20))
    for each, result in enumerate(results):
        assert result.get_response().id == str(each)
        assert np.array_equal(result.as_numpy("y"), 3 * floats(1, 4, start=each))


def test_an_error_is_an_exception_with_its_status(zoo: Server) -> None:
    async def call() -> None:
        async with triton.InferenceServerClient(zoo.target) as client:
            await client.infer("absent", [tensor(floats(1, 4))])

    with pytest.raises(InferenceServerException, match="'absent' is not found") as caught:
        asyncio.run(asyncio.wait_for(call(), 20))
    assert caught.value.status() == "StatusCode.NOT_FOUND"


def test_a_stream_answers_in_order(zoo: Server) -> None:
    async def requests() -> AsyncIterator[dict[str, Any]]:
        for each in range(50):
            values = tensor(floats(1, 4, start=each))
            yield {"model_name": "scale", "inputs": [values], "request_id": str(each)}

    async def call() -> list[str]:
        async with triton.InferenceServerClient(zoo.target) as client:
            ids = []
            async for result, error in client.stream_infer(requests()):
                assert error is None
                ids.append(result.get_response().id)
            return ids

    assert asyncio.run(asyncio.wait_for(call(), 20)) == [str(each) for each in range(50)]
