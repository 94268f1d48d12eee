"""Does each way of using a GPU answer as the CPU does? Each has a server, so that none spoils another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from infermesh_perf.bench.gpu.checks import Question
from infermesh_perf.bench.gpu.server import gpu_server
from infermesh_perf.bodies import decode_answer, infer_request
from infermesh_perf.models import MODELS, Model
from infermesh_perf.rpc import Client

#: Of the largest value: the GPU's matrix units round to 10 bits unless told otherwise (TF32).
TOLERANCE = 5e-3
#: Sizes that fall between the buckets, too.
ROWS = (1, 2, 3, 5, 8, 7)
CALLERS = 8

BATCHED = "max_batch_size: 8\ndynamic_batching { }\n"
ON_GPU = "instance_group { kind: KIND_GPU }\n"


def parameter(key: str, value: str) -> str:
    """A model's parameter, as text of its config.pbtxt."""
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


#: Name to configuration.
CONFIGS = {
    "one instance": BATCHED + ON_GPU,
    "chosen by itself": BATCHED,
    "several instances": BATCHED + "instance_group { kind: KIND_GPU count: 4 }\n",
    "beside the CPU": BATCHED + "instance_group [ { kind: KIND_GPU }, { kind: KIND_CPU } ]\n",
    "CUDA graphs": BATCHED + ON_GPU + "optimization { cuda { graphs: true } }\n",
    "CUDA graphs, several instances": BATCHED
    + "instance_group { kind: KIND_GPU count: 3 }\noptimization { cuda { graphs: true } }\n",
    "fixed sizes": BATCHED + parameter("allowed_batch_sizes", "2,8"),
    "arena limit and growth": BATCHED
    + parameter("gpu_mem_limit", str(2 << 30))
    + parameter("arena_extend_strategy", "1"),
    "arena shrinkage": BATCHED + parameter("memory.enable_memory_arena_shrinkage", "gpu:0"),
    "memory that is not pinned": BATCHED
    + "optimization { input_pinned_memory { enable: false } output_pinned_memory { enable: false } }\n",
    "convolutions searched": BATCHED + parameter("cudnn_conv_algo_search", "0"),
}


def questions(files: Path) -> list[Question]:
    """Every configuration on each model; the models are written to `files`."""
    asked = []
    for model in (MODELS["mlp"], MODELS["resnet50"]):
        path = model.save(files)
        reference = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        wanted = {
            rows: reference.run([model.output_name], {model.input_name: model.sample(rows)})[0]
            for rows in ROWS
        }
        asked += [
            Question(f"{model.name}: {name}", partial(_answers, model, path, config, wanted))
            for name, config in CONFIGS.items()
        ]
    return asked


def _answers(
    model: Model, path: Path, config: str, wanted: dict[int, NDArray[np.float32]], folder: Path
) -> tuple[bool, str]:
    served = replace(model, name="checked")
    with (
        gpu_server(folder, {served.name: (path, config)}) as server,
        Client(server.port) as client,
        ThreadPoolExecutor(CALLERS) as callers,
    ):

        def call(rows: int) -> float:
            answer = decode_answer(client.infer(infer_request(served, served.sample(rows))), served)
            return float(np.max(np.abs(answer - wanted[rows])) / np.max(np.abs(wanted[rows])))

        worst = max(callers.map(call, ROWS * CALLERS))
    # NaN is no number that is small enough.
    return worst <= TOLERANCE, (
        f"off by {worst:.1e} of the largest value at most; ready in {server.process.ready_seconds:.1f} s"
    )
