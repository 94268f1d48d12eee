"""Ways for a tensor to reach a server and come back: over gRPC or through shared memory, by two clients."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
import tritonclient.utils.shared_memory as shm
from infermesh.proto.inference import grpc_service_pb2 as pb
from numpy.typing import NDArray

from infermesh_perf.bench import h2load
from infermesh_perf.bodies import frame, infer_request
from infermesh_perf.errors import RunError
from infermesh_perf.models import Model

WARM_UP_SECONDS = 1.0
REGION = "tensors"


@dataclass(frozen=True)
class Shared:
    """An object of shared memory that a server knows: the input, and behind it room for the output."""

    handle: Any
    values: NDArray[np.float32]

    def fill(self) -> None:
        """Writes the input."""
        shm.set_shared_memory_region(self.handle, [self.values])

    def output(self) -> NDArray[np.float32]:
        """The output as it lies there, not copied."""
        found: NDArray[np.float32] = shm.get_contents_as_numpy(
            self.handle, np.float32, self.values.shape, offset=self.values.nbytes
        )
        return found


@contextmanager
def shared_with(port: int, key: str, values: NDArray[np.float32]) -> Iterator[Shared]:
    """Registers a fresh object with the server at `port` for as long as the block lasts."""
    size = 2 * values.nbytes
    handle = shm.create_shared_memory_region(REGION, key, size)
    try:
        with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
            client.register_system_shared_memory(REGION, key, size)
            shared = Shared(handle, values)
            shared.fill()
            yield shared
            client.unregister_system_shared_memory(REGION)
    finally:
        shm.destroy_shared_memory_region(handle)


class Way(ABC):
    """One way; the model answers its input."""

    name: str

    @abstractmethod
    def rate(self, seconds: float) -> float:
        """Requests per second over `seconds`, after a warm-up. Raises RunError for a wrong answer."""


class ByH2load(Way):
    """The same prebuilt request again and again, `streams` in flight: what the server can do."""

    def __init__(self, name: str, tool: str, port: int, body: Path, streams: int) -> None:
        self.name = name
        self._run = (tool, port, body, streams)

    def rate(self, seconds: float) -> float:
        """See `Way`; h2load takes whole seconds."""
        return h2load.run(*self._run, seconds, WARM_UP_SECONDS).requests_per_second


class ByTritonclient(Way):
    """One request after the other, as Python sends them: the input is filled in, the output read."""

    def __init__(self, name: str, port: int, model: Model, shared: Shared | None, rows: int) -> None:
        self.name = name
        self._model = model
        self._shared = shared
        self._values = model.sample(rows)
        self._target = f"127.0.0.1:{port}"

    def rate(self, seconds: float) -> float:
        """See `Way`; the last answer is checked."""
        once = self._over_grpc if self._shared is None else self._through_memory
        with triton.InferenceServerClient(self._target) as client:
            self._loop(client, once, WARM_UP_SECONDS)
            return self._loop(client, once, seconds)

    def _loop(self, client: Any, once: Any, seconds: float) -> float:
        started = time.perf_counter()
        count = 0
        while (elapsed := time.perf_counter() - started) < seconds:
            found = once(client)
            count += 1
        if not np.array_equal(found, self._values):
            raise RunError(f"{self.name}: the answer is not the input")
        return count / elapsed

    def _over_grpc(self, client: Any) -> Any:
        tensor = self._input()
        tensor.set_data_from_numpy(self._values)
        return client.infer(self._model.name, [tensor]).as_numpy(self._model.output_name)

    def _through_memory(self, client: Any) -> Any:
        assert self._shared is not None
        self._shared.fill()
        size = self._values.nbytes
        tensor, wanted = self._input(), triton.InferRequestedOutput(self._model.output_name)
        tensor.set_shared_memory(REGION, size)
        wanted.set_shared_memory(REGION, size, offset=size)
        client.infer(self._model.name, [tensor], outputs=[wanted])
        return self._shared.output()

    def _input(self) -> Any:
        return triton.InferInput(self._model.input_name, list(self._values.shape), "FP32")


def grpc_body(model: Model, rows: int) -> bytes:
    """A framed request that carries its tensor."""
    return frame(infer_request(model, model.sample(rows)))


def shared_body(model: Model, rows: int, output_bytes: int | None = None) -> bytes:
    """A framed request whose tensors lie in the region, input first; the output is as large if not said."""
    values = model.sample(rows)
    request = pb.ModelInferRequest(model_name=model.name)
    tensor = request.inputs.add(name=model.input_name, datatype="FP32", shape=values.shape)
    wanted = request.outputs.add(name=model.output_name)
    sizes = ((tensor, 0, values.nbytes), (wanted, values.nbytes, output_bytes or values.nbytes))
    for each, offset, size in sizes:
        each.parameters["shared_memory_region"].string_param = REGION
        each.parameters["shared_memory_byte_size"].int64_param = size
        each.parameters["shared_memory_offset"].int64_param = offset
    return frame(request.SerializeToString())
