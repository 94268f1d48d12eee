"""Several callers at once, for models that wait until they are all there."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from support.server import Server
from support.triton_clients import Triton, triton

Tensors = dict[str, NDArray[Any]]

HOUR_US = 3_600_000_000

_WIRE = {np.dtype(np.float32): "FP32", np.dtype(np.int64): "INT64", np.dtype(np.object_): "BYTES"}


def full_at(requests: int) -> str:
    """The configuration of a model that waits until so many rows are there."""
    return (
        f"max_batch_size: 8\ndynamic_batching {{ preferred_batch_size: {requests}"
        f" max_queue_delay_microseconds: {HOUR_US} }}\n"
    )


def infer(client: Triton, model: str, inputs: Tensors, **options: Any) -> Any:
    """One request, as tritonclient makes and answers it."""
    given = []
    for name, array in inputs.items():
        given.append(client.input(name, list(array.shape), _WIRE[array.dtype]))
        given[-1].set_data_from_numpy(array)
    return client.call("infer", model, given, **options)


def together(kind: str, server: Server, model: str, requests: Sequence[Tensors]) -> list[Any]:
    """The answers to requests of as many callers, each with a connection of its own, in their order."""

    def call(inputs: Tensors) -> Any:
        with triton(kind, server) as client:
            return infer(client, model, inputs)

    with ThreadPoolExecutor(len(requests)) as callers:
        return [answer.result() for answer in [callers.submit(call, inputs) for inputs in requests]]
