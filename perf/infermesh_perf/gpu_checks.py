"""Does each way of using a GPU answer as the CPU does? Each has a server, so that none spoils another."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
from infermesh.errors import InfermeshError
from numpy.typing import NDArray

from infermesh_perf.bodies import decode_answer, infer_request
from infermesh_perf.gpu_server import gpu_server
from infermesh_perf.models import MODELS, Model
from infermesh_perf.rpc import Client

#: Of the largest value: the GPU's matrix units round to 10 bits unless told otherwise (TF32).
TOLERANCE = 5e-3
#: Sizes that fall between the buckets, too.
ROWS = (1, 2, 3, 5, 8, 7)
CALLERS = 8

_GPU = "max_batch_size: 8\ndynamic_batching { }\n"


def _parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


#: Name to configuration.
CONFIGS = {
    "one instance": _GPU + "instance_group { kind: KIND_GPU }\n",
    "chosen by itself": _GPU,
    "several instances": _GPU + "instance_group { kind: KIND_GPU count: 4 }\n",
    "beside the CPU": _GPU + "instance_group [ { kind: KIND_GPU }, { kind: KIND_CPU } ]\n",
    "CUDA graphs": _GPU + "instance_group { kind: KIND_GPU }\noptimization { cuda { graphs: true } }\n",
    "CUDA graphs, several instances": _GPU
    + "instance_group { kind: KIND_GPU count: 3 }\noptimization { cuda { graphs: true } }\n",
    "fixed sizes": _GPU + _parameter("allowed_batch_sizes", "2,8"),
    "arena limit and growth": _GPU
    + _parameter("gpu_mem_limit", str(2 << 30))
    + _parameter("arena_extend_strategy", "1"),
    "arena shrinkage": _GPU + _parameter("memory.enable_memory_arena_shrinkage", "gpu:0"),
    "memory that is not pinned": _GPU
    + "optimization { input_pinned_memory { enable: false } output_pinned_memory { enable: false } }\n",
    "convolutions searched": _GPU + _parameter("cudnn_conv_algo_search", "0"),
}


@dataclass(frozen=True)
class Check:
    """`said` is what went wrong, or how far the answers were off."""

    name: str
    passed: bool
    said: str


def run() -> list[Check]:
    """Every configuration on each model, then an arena that is too small, which must be refused."""
    checks = []
    with tempfile.TemporaryDirectory() as folder:
        for model in (MODELS["mlp"], MODELS["resnet50"]):
            path = model.save(Path(folder) / "files")
            reference = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            wanted = {
                rows: reference.run([model.output_name], {model.input_name: model.sample(rows)})[0]
                for rows in ROWS
            }
            for name, config in CONFIGS.items():
                here = Path(folder) / f"{model.name} {name}"
                here.mkdir()
                checks.append(_check(f"{model.name}: {name}", model, path, config, wanted, here))
        checks.append(_limit_is_kept(Path(folder)))
    return checks


def _check(
    name: str,
    model: Model,
    path: Path,
    config: str,
    wanted: dict[int, NDArray[np.float32]],
    folder: Path,
) -> Check:
    served = replace(model, name="checked")
    try:
        with gpu_server(folder, {served.name: (path, config)}) as port, Client(port) as client:

            def call(rows: int) -> float:
                answer = decode_answer(client.infer(infer_request(served, served.sample(rows))), served)
                return float(np.max(np.abs(answer - wanted[rows])) / np.max(np.abs(wanted[rows])))

            with ThreadPoolExecutor(CALLERS) as callers:
                worst = max(callers.map(call, ROWS * CALLERS))
    except (InfermeshError, ValueError) as error:
        return Check(name, passed=False, said=str(error))
    # NaN is no number that is small enough.
    return Check(name, passed=worst <= TOLERANCE, said=f"off by {worst:.1e} of the largest value at most")


def _limit_is_kept(folder: Path) -> Check:
    """Weights of 100 MB do not fit into an arena of 1 MB: the model is refused, and that is not fatal."""
    name, model = "resnet50: an arena that is too small is refused", MODELS["resnet50"]
    here = folder / "too small"
    here.mkdir()
    config = _GPU + "instance_group { kind: KIND_GPU }\n" + _parameter("gpu_mem_limit", str(1 << 20))
    try:
        with gpu_server(here, {"checked": (model.save(folder / "files"), config)}):
            return Check(name, passed=False, said="it was loaded")
    except InfermeshError as error:
        return Check(name, passed="memory" in str(error).lower(), said="")
