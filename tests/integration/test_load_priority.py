"""Loading gives way to requests; what it leaves behind does not."""

from pathlib import Path

from support import onnx_models
from support.client import Client
from support.repository import Repository
from support.server import Serve

OWN_THREADS = 'parameters { key: "intra_op_thread_count" value { string_value: "3" } }\n'


def niceness(pid: int) -> dict[str, list[int]]:
    """Of every thread, by its name."""
    found: dict[str, list[int]] = {}
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        name, _, rest = stat.read_text().partition(" (")[2].rpartition(") ")
        found.setdefault(name, []).append(int(rest.split()[16]))
    return found


def test_no_thread_of_a_loaded_model_has_a_lower_priority(serve: Serve, repository: Repository) -> None:
    repository.onnx("own", onnx_models.matmul_chain(64, 2), config=OWN_THREADS)
    repository.onnx("shared", onnx_models.matmul_chain(64, 2))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        assert len(client.index()) == 2
    found = niceness(server.pid)
    assert "onnx" in found, "the model's own threads were started by somebody else"
    # Two, as one of three is the caller's.
    assert len(found["onnx"]) == 2
    own = min(value for values in found.values() for value in values)
    assert {value for values in found.values() for value in values} == {own}
