"""A real Triton with the models of the error table, where its peer environment is set up (``make bench``)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infermesh_perf.peers import Triton
from infermesh_perf.processes import serving

from support.repository import Repository

ROOT = Path(__file__).parents[2]

MODEL = """
import triton_python_backend_utils as backend


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            total = sum(tensor.as_numpy() for tensor in request.inputs()[1:])
            first = request.inputs()[0].as_numpy()
            name = next(iter(request.requested_output_names()))
            result = first if len(request.inputs()) == 1 else first + total
            responses.append(backend.InferenceResponse([backend.Tensor(name, result)]))
        return responses
"""

BROKEN = "raise OSError('broken')\n"


def _config(inputs: list[str], output: str, datatype: str, width: int) -> str:
    ports = [f'input {{ name: "{name}" data_type: {datatype} dims: {width} }}\n' for name in inputs]
    ports.append(f'output {{ name: "{output}" data_type: {datatype} dims: {width} }}\n')
    return 'backend: "python"\nmax_batch_size: 8\n' + "".join(ports)


def write_models(repository: Repository) -> None:
    """The models that ``support.error_table`` names, but for the broken version of ``two``."""
    repository.python("add", MODEL, config=_config(["a", "b"], "sum", "TYPE_FP32", 16))
    repository.python("text", MODEL, config=_config(["x"], "y", "TYPE_STRING", 2))
    repository.python("two", MODEL, config=_config(["x"], "y", "TYPE_FP32", 4))
    repository.python("broken", BROKEN, config=_config(["x"], "y", "TYPE_FP32", 4))


def missing() -> str | None:
    """Why there is no Triton to compare with, or None if there is one."""
    return Triton(ROOT).missing()


@contextmanager
def triton(repository: Repository, log: Path) -> Iterator[str]:
    """Serve a repository for as long as the block lasts; yields where clients find it."""
    lenient = ("--exit-on-error=false", "--strict-readiness=false")
    with serving(Triton(ROOT).server(repository.root, "two", log, *lenient)) as running:
        yield f"127.0.0.1:{running.port}"
