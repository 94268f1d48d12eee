"""In poll mode the server follows its repository."""

import shutil

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, outputs, refused, request
from support.repository import Repository
from support.server import Serve, Server


@pytest.fixture
def server(serve: Serve, repository: Repository) -> Server:
    repository.onnx("scale", onnx_models.scale(2.0))
    server = serve("--model-control-mode", "poll", "--repository-poll-secs", "0.1")
    server.wait_ready()
    return server


def factor(server: Server, model: str = "scale") -> float:
    with Client(server.target) as client:
        return float(outputs(client.infer(request(model, x=floats(1, 4, start=1))))["y"][0, 0])


def test_a_new_model_is_loaded(server: Server, repository: Repository) -> None:
    repository.onnx("late", onnx_models.scale(4.0))
    server.wait_for("model-loaded", lambda record: record["infermesh.model.name"] == "late")
    assert factor(server, "late") == 4.0


def test_a_new_version_takes_the_place_of_the_old(server: Server, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(5.0), version=2)
    server.wait_for("model-unloaded", lambda record: record["infermesh.model.version"] == 1)
    assert factor(server) == 5.0


def test_a_changed_file_is_loaded_again(server: Server, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(6.0, ("rows", 4)))
    loads = [record for record in server.records if record.get("event.action") == "model-loaded"]
    server.wait_for("model-loaded", lambda record: record not in loads)
    assert factor(server) == 6.0


def test_a_changed_configuration_counts(server: Server, repository: Repository) -> None:
    repository.config("scale", "max_batch_size: 3\n")
    server.wait_for("model-loaded", lambda record: record["infermesh.model.max_batch_size"] == 3)
    with (
        Client(server.target) as client,
        refused(grpc.StatusCode.INVALID_ARGUMENT, "batch-size must be <= 3 for 'scale'"),
    ):
        client.infer(request("scale", x=floats(4, 4)))


def test_a_removed_model_is_unloaded(server: Server, repository: Repository) -> None:
    shutil.rmtree(repository.root / "scale")
    server.wait_for("model-unloaded")
    with Client(server.target) as client, refused(grpc.StatusCode.NOT_FOUND, "'scale' is not found"):
        client.infer(request("scale", x=floats(1, 4)))


def test_a_broken_replacement_leaves_the_old_in_service(server: Server, repository: Repository) -> None:
    repository.onnx("scale", b"broken")
    record = server.wait_for("model-load-failed")
    assert "stays in service" in record["message"]
    assert factor(server) == 2.0
    with Client(server.target) as client:
        assert client.inference.ServerReady(pb.ServerReadyRequest(), timeout=SECONDS).ready


def test_a_broken_new_model_takes_readiness_away_until_it_is_mended(
    server: Server, repository: Repository
) -> None:
    repository.onnx("late", b"broken")
    server.wait_for("server-not-ready")
    with Client(server.target) as client:
        assert not client.inference.ServerReady(pb.ServerReadyRequest(), timeout=SECONDS).ready
        assert factor(server) == 2.0
        before = [record for record in server.records if record.get("event.action") == "server-ready"]
        repository.onnx("late", onnx_models.scale(4.0))
        server.wait_for("server-ready", lambda record: record not in before)
        assert client.inference.ServerReady(pb.ServerReadyRequest(), timeout=SECONDS).ready


def test_clients_may_not_load_or_unload(server: Server) -> None:
    with Client(server.target) as client:
        with refused(grpc.StatusCode.UNAVAILABLE, "explicit model load / unload is not allowed"):
            client.inference.RepositoryModelLoad(
                pb.RepositoryModelLoadRequest(model_name="scale"), timeout=SECONDS
            )
        with refused(grpc.StatusCode.UNAVAILABLE, "explicit model load / unload is not allowed"):
            client.inference.RepositoryModelUnload(
                pb.RepositoryModelUnloadRequest(model_name="scale"), timeout=SECONDS
            )
