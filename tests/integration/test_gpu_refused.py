"""What asks for a GPU is refused, with what is missing, where there is none; the rest is served."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import onnx_models
from support.client import Client, floats, outputs, request
from support.repository import Repository
from support.server import LOOPBACK, Server, serving

_RUNTIME = find_spec("onnxruntime")
assert _RUNTIME is not None
assert _RUNTIME.origin is not None
WITH_CUDA = (Path(_RUNTIME.origin).parent / "capi" / "libonnxruntime_providers_cuda.so").exists()
pytestmark = pytest.mark.skipif(WITH_CUDA, reason="this environment has onnxruntime-gpu")

NO_CUDA = (
    "instance_group asks for a GPU, which cannot be used: the installed ONNX Runtime is one without CUDA "
    "(it has AzureExecutionProvider, CPUExecutionProvider): install onnxruntime-gpu in its place"
)
NO_GPU = (
    "optimization.cuda.graphs asks for CUDA graphs, but no instance is on a GPU "
    "(instance_group.kind: KIND_GPU)"
)
TENSORRT = 'optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" } } }\n'
SHRINKAGE = 'parameters { key: "memory.enable_memory_arena_shrinkage" value { string_value: "all" } }\n'

#: Model to its configuration, and to the whole reason for which it is refused.
REFUSED = {
    "gpu": ("instance_group { kind: KIND_GPU }\n", NO_CUDA),
    "gpus": ("instance_group { kind: KIND_GPU count: 2 gpus: [ 0, 1 ] }\n", NO_CUDA),
    "tensorrt": (TENSORRT, NO_CUDA),
    "graphs": ("optimization { cuda { graphs: true } }\n", NO_GPU),
    "mixed_up": (
        "instance_group { kind: KIND_CPU gpus: 0 }\n",
        "instance_group names gpus, but its kind is not KIND_GPU",
    ),
    "shrinkage": (
        SHRINKAGE,
        "parameter 'memory.enable_memory_arena_shrinkage' is 'all', expected arenas such as gpu:0;cpu:0",
    ),
}
#: Nothing in these needs a GPU, though they speak of one.
SERVED = {
    "auto": "instance_group { kind: KIND_AUTO count: 2 }\n",
    "limits": 'parameters { key: "gpu_mem_limit" value { string_value: "1000000" } }\n',
    "shrinking": SHRINKAGE.replace("all", "cpu:0"),
    "pinned": "optimization { input_pinned_memory { enable: true } }\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = Repository.make(tmp_path_factory.mktemp("gpu"))
    for name, (config, _) in REFUSED.items():
        repository.onnx(name, onnx_models.scale(3.0), config=config)
    for name, config in SERVED.items():
        repository.onnx(name, onnx_models.scale(3.0), config=config)
    with serving(repository.root, *LOOPBACK, until="server-not-ready") as server:
        yield server


@pytest.mark.parametrize("name", REFUSED)
def test_the_reason_is_given(server: Server, name: str) -> None:
    with Client(server.target) as client:
        assert client.index()[name, "1"] == ("UNAVAILABLE", REFUSED[name][1])


@pytest.mark.parametrize("name", SERVED)
def test_what_needs_none_runs_on_the_processor(server: Server, name: str) -> None:
    with Client(server.target) as client:
        found = outputs(client.infer(request(name, x=floats(2, 4))))["y"]
        assert found.tolist() == (3 * floats(2, 4)).tolist()
