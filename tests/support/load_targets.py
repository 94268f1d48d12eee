"""A server for the tests of the load-test suite: one model of each kind that it has to know."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import onnx_models
from support.ensembles import Step, ensemble_config, put_ensemble
from support.python_models import EACH, REVERSE, TALLY, TWO_OUTPUTS
from support.repository import Repository
from support.rest import HTTP
from support.sequences import CONTROLS, PATIENT, TALLY_PORTS
from support.server import LOOPBACK, Server, serving

BIASED = """
max_batch_size: 8
dynamic_batching {}
input { name: "x" data_type: TYPE_FP32 dims: 4 }
input { name: "bias" data_type: TYPE_FP32 dims: 4 optional: true }
"""


def fill(root: Path) -> Repository:
    """Models with and without batches, of every datatype, optional inputs, sequences, many answers, steps."""
    repository = Repository.make(root)
    for datatype in onnx_models.DATATYPES:
        repository.onnx(f"identity_{datatype.lower()}", onnx_models.identity(datatype, ("n", 3)))
    repository.onnx("fixed", onnx_models.identity("FP32", (2, 3)))
    repository.onnx("add", onnx_models.add(), config="max_batch_size: 8\n")
    repository.onnx("wide", onnx_models.identity("FP32", ("n", "m")), config="max_batch_size: 8\n")
    repository.onnx("biased", onnx_models.biased(), config=BIASED)
    repository.python("reverse", REVERSE)
    repository.python("two", TWO_OUTPUTS)
    repository.python("each", EACH)
    repository.python(
        "tally", TALLY, config=f"{TALLY_PORTS} max_batch_size: 4 sequence_batching {{ {PATIENT} {CONTROLS} }}"
    )
    step = Step("tally", {"x": "x"}, {"sum": "sum"})
    ports = ({"x": ("INT32", (1,))}, {"sum": ("INT32", (1,))})
    put_ensemble(repository, "tallies", ensemble_config(*ports, step, max_batch_size=4))
    return repository


@contextmanager
def serving_targets(root: Path, *options: str | Path) -> Iterator[Server]:
    """The server, over gRPC and HTTP."""
    with serving(fill(root).root, *LOOPBACK, *HTTP, *options) as server:
        yield server
