"""h2load in front of a server on a GPU: over gRPC, or with tensors in shared memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from infermesh_perf.bench import h2load
from infermesh_perf.bench.gpu.cases import Carried, Case
from infermesh_perf.bench.ways import grpc_body, shared_body, shared_with
from infermesh_perf.bodies import PREFIX
from infermesh_perf.errors import RunError
from infermesh_perf.rpc import Client


@dataclass(frozen=True)
class Caller:
    """One prebuilt request, sent again and again; `answer_bytes` are those of a good answer."""

    tool: str
    port: int
    body: Path
    case: Case
    answer_bytes: int

    def run(self, seconds: float) -> float:
        """Samples a second that were answered over `seconds`. Raises RunError if one was refused."""
        load = self.case.load
        sample = h2load.run(
            self.tool,
            self.port,
            self.body,
            load.streams // self.case.connections,
            seconds,
            warm_up=0,
            connections=self.case.connections,
        )
        if sample.refused(self.answer_bytes):
            raise RunError(f"{self.case.name}: the server refused requests under load")
        return sample.requests_per_second * load.rows


@contextmanager
def caller(folder: Path, port: int, case: Case) -> Iterator[Caller]:
    """The load of a case on the server at `port`. Raises RunError if it does not take the request."""
    model = replace(case.model, name=case.name)
    rows = case.load.rows
    if case.carried is Carried.GRPC:
        yield _caller(folder, port, case, grpc_body(model, rows))
        return
    values = model.sample(rows)
    # Room for the output behind the input, which is the larger.
    with shared_with(port, f"infermesh-gpu-{os.getpid()}", values):
        output = rows * int(np.prod(model.output_shape)) * values.itemsize
        yield _caller(folder, port, case, shared_body(model, rows, output))


def _caller(folder: Path, port: int, case: Case, body: bytes) -> Caller:
    path = folder / "body"
    path.write_bytes(body)
    with Client(port) as client:
        answer = client.infer(body[PREFIX.size :])
    return Caller(h2load.find(), port, path, case, len(answer))
