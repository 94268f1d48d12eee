"""Memory of the device: what clients share, what a model gives back, what is told of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import grpc
import numpy as np
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference import grpc_service_pb2_grpc

from infermesh_perf.bench.control import Control
from infermesh_perf.bench.gpu.answers import BATCHED, ON_GPU, TOLERANCE, parameter
from infermesh_perf.bench.gpu.checks import Question
from infermesh_perf.bench.gpu.device_memory import DeviceMemory, device_memory
from infermesh_perf.bench.gpu.server import gpu_server
from infermesh_perf.bench.ways import REGION, shared_body
from infermesh_perf.bodies import PREFIX, decode_answer, infer_request
from infermesh_perf.models import MODELS
from infermesh_perf.rpc import Client

SECONDS = 60.0
USED = "nv_gpu_memory_used_bytes"
TOLD = ("nv_gpu_utilization", "nv_gpu_memory_total_bytes", USED, "nv_gpu_power_usage", "nv_gpu_power_limit")
#: What the driver and the libraries may keep from one load to the next, in bytes.
KEPT = 64 << 20


def questions(files: Path) -> list[Question]:
    """Each wants the device for itself. The models are written to `files`."""
    small, large = MODELS["mlp"].save(files), MODELS["resnet50"].save(files)
    return [
        Question("metrics tell of the device", partial(_metrics, small)),
        Question("clients share memory of the device", partial(_shared, small)),
        Question("an unloaded model gives its memory back", partial(_given_back, small, large)),
        Question("a shrinking arena holds less after a large batch", partial(_shrinks, large)),
    ]


def _metrics(file: Path, folder: Path) -> tuple[bool, str]:
    with gpu_server(folder, {"mlp": (file, BATCHED + ON_GPU)}) as server:
        metrics = server.metrics()
    found = {name: metrics[name] for name in TOLD if name in metrics}
    return len(found) == len(TOLD) and found[USED] > 0, str(found)


def _shared(file: Path, folder: Path) -> tuple[bool, str]:
    """Input and output in one allocation; the answer is held against the one that came over the wire."""
    model, rows = MODELS["mlp"], 8
    values = model.sample(rows)
    served = {model.name: (file, BATCHED + ON_GPU)}
    with gpu_server(folder, served) as server, Client(server.port) as client:
        wanted = decode_answer(client.infer(infer_request(model, values)), model)
        size = values.nbytes + wanted.nbytes
        with device_memory(size) as memory, _registered(server.port, memory, size):
            memory.write(values)
            client.infer(shared_body(model, rows, wanted.nbytes)[PREFIX.size :])
            found = memory.read(wanted.shape, values.nbytes)
    off = float(np.max(np.abs(found - wanted)))
    return off <= TOLERANCE, f"off by {off:.1e}"


@contextmanager
def _registered(port: int, memory: DeviceMemory, size: int) -> Iterator[None]:
    """The memory as the region that prebuilt requests name, for as long as the block lasts."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        request = pb.CudaSharedMemoryRegisterRequest(
            name=REGION, raw_handle=memory.handle, device_id=0, byte_size=size
        )
        stub.CudaSharedMemoryRegister(request, timeout=SECONDS)
        yield
        stub.CudaSharedMemoryUnregister(pb.CudaSharedMemoryUnregisterRequest(), timeout=SECONDS)


def _given_back(small: Path, large: Path, folder: Path) -> tuple[bool, str]:
    """What the device holds after the second unload is what it held after the first."""
    models = {"mlp": (small, BATCHED + ON_GPU), "large": (large, BATCHED + ON_GPU)}
    options = ("--model-control-mode", "explicit", "--load-model", "mlp")
    with gpu_server(folder, models, options) as server, Control(server.port) as control:
        loaded, unloaded = [], []
        for _ in range(3):
            control.load("large")
            loaded.append(server.metrics().get(USED, math.nan))
            control.unload("large")
            unloaded.append(server.metrics().get(USED, math.nan))
    back, kept = loaded[-1] - unloaded[-1], unloaded[-1] - unloaded[0]
    return back > large.stat().st_size and kept <= KEPT, (
        f"{back / 2**20:.0f} MiB came back, {kept / 2**20:.0f} MiB more are held than after the first time"
    )


def _shrinks(file: Path, folder: Path) -> tuple[bool, str]:
    # Of its own accord the server would choose small sizes last; the largest is what fills an arena.
    config = BATCHED.replace("8", "64") + ON_GPU + parameter("allowed_batch_sizes", "1,64")
    shrinking = config + parameter("memory.enable_memory_arena_shrinkage", "gpu:0")
    used = []
    for index, each in enumerate((config, shrinking)):
        here = folder / str(index)
        here.mkdir()
        with gpu_server(here, {"large": (file, each)}) as server:
            used.append(server.metrics().get(USED, math.nan))
    return used[1] < used[0], f"{used[0] / 2**20:.0f} MiB without, {used[1] / 2**20:.0f} MiB with"
