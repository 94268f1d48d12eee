"""A broken model is listed with what is wrong, the log says it too, and the rest is served."""

from collections.abc import Callable, Iterator

import grpc
import pytest
from infermesh.proto.grpc_health_v1 import health_pb2
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, outputs, refused, request
from support.python_models import MOODY
from support.repository import Repository
from support.server import LOOPBACK, Serve, Server, serving

WHOLE = onnx_models.identity()

Break = Callable[[Repository, str], object]


def configured(text: str) -> Break:
    """A whole model, and what config.pbtxt says of it."""
    return lambda where, name: where.onnx(name, WHOLE, config=text)


#: How each is broken, and what the reason must say.
BROKEN: dict[str, tuple[Break, list[str]]] = {
    "truncated": (lambda where, name: where.onnx(name, WHOLE[: len(WHOLE) // 2]), ["1/model.onnx"]),
    "garbage": (lambda where, name: where.onnx(name, b"no model at all"), ["1/model.onnx"]),
    "no_bytes": (lambda where, name: where.onnx(name, b""), ["1/model.onnx"]),
    "directory": (
        lambda where, name: (where.root / name / "1" / "model.onnx").mkdir(parents=True),
        ["1/model.onnx"],
    ),
    "empty": (lambda where, name: (where.root / name).mkdir(), ["found no"]),
    "empty_version": (
        lambda where, name: (where.root / name / "1").mkdir(parents=True),
        ["found no", "model.onnx or model.py"],
    ),
    "named_version": (lambda where, name: where.onnx(name, WHOLE, version="latest"), ["found no"]),
    "zero_version": (lambda where, name: where.onnx(name, WHOLE, version=0), ["found no"]),
    "both": (
        lambda where, name: (where.onnx(name, WHOLE), where.python(name, MOODY)),
        ["found both model.onnx and model.py"],
    ),
    "unknown_field": (
        configured("\nmax_batch: 4\n"),
        ["config.pbtxt:2", "max_batch", "expected max_batch_size"],
    ),
    "no_number": (
        configured("max_batch_size: many\n"),
        ["config.pbtxt:1", "max_batch_size", "found many"],
    ),
    "wrong_name": (
        configured('name: "other"\n'),
        ["config.pbtxt:1", 'found "other"', 'expected "wrong_name"'],
    ),
    "wrong_type": (
        configured('max_batch_size: 4\ninput { name: "x" data_type: TYPE_INT32 dims: 4 }\n'),
        ["'x'", "INT32", "FP32"],
    ),
    "wrong_dims": (
        configured('max_batch_size: 4\ninput { name: "x" data_type: TYPE_FP32 dims: 5 }\n'),
        ["'x'", "[5]", "[4]"],
    ),
    "wrong_input": (
        configured('max_batch_size: 4\ninput { name: "z" data_type: TYPE_FP32 dims: 4 }\n'),
        ["no input 'z'", "it has x"],
    ),
    "no_batches": (
        lambda where, name: where.onnx(
            name, onnx_models.identity("FP32", (2, 4)), config="max_batch_size: 4\n"
        ),
        ["max_batch_size is 4", "first dimension"],
    ),
    "decoupled": (
        configured("model_transaction_policy { decoupled: true }\n"),
        ["decoupled", "expected false", "one answer to each request"],
    ),
    "syntax": (lambda where, name: where.python(name, "class Model:\n  def"), ["model.py:2", "SyntaxError"]),
    "raises": (
        lambda where, name: where.python(name, "\n\nraise OSError('the licence has expired')\n"),
        ["model.py:3", "OSError", "the licence has expired"],
    ),
    "no_class": (lambda where, name: where.python(name, "x = 1\n"), ["found no class Model"]),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """All of them in one repository, with one that is whole."""
    repository = Repository.make(tmp_path_factory.mktemp("ruins"))
    for name, (break_it, _) in BROKEN.items():
        break_it(repository, name)
    repository.onnx("whole", WHOLE)
    with serving(repository.root, *LOOPBACK, until="server-not-ready") as server:
        yield server


@pytest.mark.parametrize("name", BROKEN)
def test_the_index_gives_the_reason(client: Client, name: str) -> None:
    ((state, reason),) = (entry for (listed, _), entry in client.index().items() if listed == name)
    assert state == "UNAVAILABLE"
    for fragment in BROKEN[name][1]:
        assert fragment in reason


@pytest.mark.parametrize("name", BROKEN)
def test_the_log_gives_the_reason(server: Server, name: str) -> None:
    record = server.wait_for(
        "model-load-failed", lambda record: record["infermesh.model.name"] == name, seconds=5
    )
    assert record["log.level"] == "error"
    for fragment in BROKEN[name][1]:
        assert fragment in record["error.message"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_request_to_it_is_refused(client: Client, name: str) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, f"'{name}' has no available versions"):
        client.infer(request(name, x=floats(1, 4)))


def test_the_rest_is_served(client: Client) -> None:
    assert outputs(client.infer(request("whole", x=floats(1, 4))))["y"].tolist() == [[0, 1, 2, 3]]


def test_the_server_is_live_but_not_ready(client: Client) -> None:
    assert client.inference.ServerLive(pb.ServerLiveRequest(), timeout=SECONDS).live
    assert not client.inference.ServerReady(pb.ServerReadyRequest(), timeout=SECONDS).ready
    health = client.health.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING


def test_the_index_of_ready_models_leaves_it_out(client: Client) -> None:
    found = client.inference.RepositoryIndex(pb.RepositoryIndexRequest(ready=True), timeout=SECONDS)
    assert [model.name for model in found.models] == ["whole"]


def test_readiness_may_be_told_to_do_without_it(serve: Serve, repository: Repository) -> None:
    repository.onnx("garbage", b"no model at all")
    server = serve("--no-strict-readiness")
    server.wait_ready()
    with Client(server.target) as client:
        assert client.inference.ServerReady(pb.ServerReadyRequest(), timeout=SECONDS).ready


def test_the_server_may_be_told_to_exit_for_it(serve: Serve, repository: Repository) -> None:
    repository.onnx("garbage", b"no model at all")
    server = serve("--exit-on-error")
    assert server.wait() == 1
    assert any("cannot load garbage" in line for line in server.errors)
    assert not any("Traceback" in line for line in server.errors)


@pytest.mark.parametrize("what", ["absent", "file"])
def test_no_repository_at_all_is_a_mistake_in_the_command(
    serve: Serve, repository: Repository, what: str
) -> None:
    (repository.root.parent / "file").touch()
    server = Server(repository.root.parent / what, "--grpc-port", "0")
    assert server.wait() == 2
    assert any(str(repository.root.parent / what) in line for line in server.errors)
    assert not any("Traceback" in line for line in server.errors)
    assert serve is not None
