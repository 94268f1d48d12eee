"""The suite's own client beside h2load, on one server."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh_native import NullServer
from infermesh_perf.bench import h2load, own_client
from infermesh_perf.bench.clients import main
from infermesh_perf.bodies import frame
from infermesh_perf.errors import RunError
from infermesh_perf.processes import free_ports
from support import onnx_models
from support.repository import Repository
from support.server import LOOPBACK, Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = Repository.make(tmp_path_factory.mktemp("clients"))
    repository.onnx("m", onnx_models.identity("FP32", ("n", 4)))
    with serving(repository.root, *LOOPBACK) as server:
        yield server


def message(width: int = 4) -> bytes:
    request = pb.ModelInferRequest(model_name="m")
    request.inputs.add(name="x", datatype="FP32", shape=[1, width])
    request.raw_input_contents.append(np.zeros(width, np.float32).tobytes())
    return request.SerializeToString()


def served(server: Server) -> int:
    """How many requests the server says that it has answered."""
    from infermesh_perf.target.connect import connect
    from infermesh_perf.target.target import target

    with connect(target(server.target)) as api:
        found = api.statistics("m")
    assert found is not None
    return found.model_stats[0].inference_stats.success.count


def test_a_closed_loop(server: Server) -> None:
    before = served(server)

    sample = own_client.closed(server.port, message(), streams=4, seconds=0.3, warm_up=0.05)

    assert sample.succeeded > 20
    assert 0 < sample.p50 <= sample.p99
    assert sample.mean < 1
    # Those of the warm-up come on top.
    assert before + sample.succeeded <= served(server)
    assert sample.requests_per_second == pytest.approx(sample.succeeded / 0.3, rel=0.5)


def test_an_open_loop(server: Server) -> None:
    sample = own_client.opened(
        server.port, message(), rate=100, seconds=0.5, warm_up=0, distribution="constant"
    )

    assert sample.succeeded == pytest.approx(50, abs=10)
    assert sample.requests_per_second == pytest.approx(100, rel=0.2)


@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")
def test_the_server_has_seen_what_both_have_counted(server: Server, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(frame(message()))
    begin = served(server)

    theirs = h2load.run(h2load.find(), server.port, body, streams=4, seconds=1, warm_up=0)
    between = served(server)
    ours = own_client.closed(server.port, message(), streams=4, seconds=1, warm_up=0)
    end = served(server)

    # What was under way at the end is answered and not counted by h2load; what was before the measured time
    # began is not counted by ours.
    assert between - begin == pytest.approx(theirs.succeeded, rel=0.02, abs=10)
    assert end - between == pytest.approx(ours.succeeded, rel=0.02, abs=10)


def test_requests_that_are_refused(server: Server) -> None:
    with pytest.raises(RunError, match=r"0 requests succeeded, .* INVALID_ARGUMENT: .*unexpected shape"):
        own_client.closed(server.port, message(5), streams=1, seconds=0.1, warm_up=0)


def test_nobody_listens() -> None:
    (port,) = free_ports(1)
    with pytest.raises(RunError, match="refused"):
        own_client.closed(port, message(), streams=1, seconds=0.1, warm_up=0)


def test_a_server_that_is_no_limit() -> None:
    server = NullServer(0, protocol="grpc", answer=bytes(100))
    try:
        assert own_client.closed(server.port, message(), streams=16, seconds=0.1, warm_up=0).succeeded > 100
    finally:
        server.close()


@pytest.mark.parametrize("arguments", [("--rounds", "0"), ("--duration", "0.5"), ("--nonsense",)])
def test_usage_of_the_benchmark(exit_code: Callable[..., object], arguments: tuple[str, ...]) -> None:
    assert exit_code(main, *arguments) == 2
