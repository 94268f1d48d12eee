"""A model that fails for good leaves service at once and takes the server's readiness with it."""

import grpc
import pytest
from infermesh.proto.grpc_health_v1 import health_pb2
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, ints, outputs, refused, request
from support.python_models import FRAGILE
from support.repository import Repository
from support.server import Serve, Server

LOST = "model 'fragile': FatalError: the device is lost"


def break_it(client: Client) -> None:
    """The request that meets the failure hears of it in full."""
    with refused(grpc.StatusCode.INTERNAL, LOST):
        client.infer(request("fragile", x=ints([9])))


def health(client: Client) -> int:
    return client.health.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS).status


def ready(client: Client) -> bool:
    return client.inference.ServerReady(pb.ServerReadyRequest(), timeout=SECONDS).ready


def broken(serve: Serve, *options: str) -> Server:
    server = serve(*options)
    server.wait_ready()
    return server


@pytest.fixture(autouse=True)
def models(repository: Repository) -> None:
    repository.python("fragile", FRAGILE)
    repository.onnx("whole", onnx_models.identity("FP32", ("n", 4)))


def test_readiness_ends_and_the_rest_is_served(serve: Serve) -> None:
    server = broken(serve)
    with Client(server.target) as client:
        assert outputs(client.infer(request("fragile", x=ints([1]))))["y"].tolist() == [[1]]
        assert (ready(client), health(client)) == (True, health_pb2.HealthCheckResponse.SERVING)
        break_it(client)
        record = server.wait_for("model-failed")
        assert (record["log.level"], record["error.message"]) == ("error", LOST)
        assert (record["infermesh.model.name"], record["infermesh.model.version"]) == ("fragile", 1)
        server.wait_for("server-not-ready")
        assert (ready(client), health(client)) == (False, health_pb2.HealthCheckResponse.NOT_SERVING)

        assert client.index()["fragile", "1"] == ("UNAVAILABLE", LOST)
        model_ready = pb.ModelReadyRequest(name="fragile", version="1")
        assert not client.inference.ModelReady(model_ready, timeout=SECONDS).ready
        with refused(grpc.StatusCode.UNAVAILABLE, "'fragile' version 1 is not at ready state"):
            client.infer(request("fragile", version="1", x=ints([1])))
        assert outputs(client.infer(request("whole", x=floats(1, 4))))["y"].tolist() == [[0, 1, 2, 3]]


def test_a_watcher_of_health_is_told(serve: Serve) -> None:
    server = broken(serve)
    with Client(server.target) as client:
        watch = client.health.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        break_it(client)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()


def test_a_later_load_brings_it_back(serve: Serve) -> None:
    server = broken(serve, "--model-control-mode", "explicit", "--load-model", "*")
    with Client(server.target) as client:
        break_it(client)
        server.wait_for("server-not-ready")
        load = pb.RepositoryModelLoadRequest(model_name="fragile")
        client.inference.RepositoryModelLoad(load, timeout=SECONDS)
        assert ready(client)
        assert outputs(client.infer(request("fragile", x=ints([1]))))["y"].tolist() == [[1]]


def test_without_strict_readiness_the_server_stays_ready(serve: Serve) -> None:
    server = broken(serve, "--no-strict-readiness")
    with Client(server.target) as client:
        break_it(client)
        server.wait_for("model-failed")
        assert ready(client)


def test_the_process_may_end_with_it(serve: Serve) -> None:
    server = broken(serve, "--exit-on-fatal")
    with Client(server.target) as client:
        break_it(client)
        assert server.wait() == 1
    assert any(f"fragile version 1 has failed: {LOST}" in line for line in server.errors)
    server.wait_for("server-stopped")
