"""grpc.health.v1, which load balancers and Kubernetes ask."""

import grpc
import pytest
from infermesh.proto.grpc_health_v1 import health_pb2
from support import onnx_models
from support.client import SECONDS, Client, refused
from support.repository import Repository
from support.server import Serve

SERVICES = ["", "inference.GRPCInferenceService"]
Status = health_pb2.HealthCheckResponse


@pytest.mark.parametrize("service", SERVICES)
def test_check_says_serving(client: Client, service: str) -> None:
    answer = client.health.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
    assert answer.status == Status.SERVING


def test_check_of_an_unknown_service_is_not_found(client: Client) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, "inference.Absent"):
        client.health.Check(health_pb2.HealthCheckRequest(service="inference.Absent"), timeout=SECONDS)


def test_list_names_every_service(client: Client) -> None:
    answer = client.health.List(health_pb2.HealthListRequest(), timeout=SECONDS)
    assert {name: each.status for name, each in answer.statuses.items()} == dict.fromkeys(
        SERVICES, Status.SERVING
    )


def test_watch_of_an_unknown_service_says_so_and_stays(client: Client) -> None:
    watch = client.health.Watch(health_pb2.HealthCheckRequest(service="inference.Absent"), timeout=SECONDS)
    assert next(watch).status == Status.SERVICE_UNKNOWN
    assert watch.is_active()
    watch.cancel()


@pytest.mark.parametrize("service", SERVICES)
def test_watch_sees_the_drain_before_its_end(serve: Serve, service: str) -> None:
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        watch = client.health.Watch(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
        assert next(watch).status == Status.SERVING
        server.terminate()
        assert next(watch).status == Status.NOT_SERVING
        with refused(grpc.StatusCode.UNAVAILABLE, "shutting down"):
            next(watch)
        assert server.wait(10) == 0


def test_watch_sees_readiness_come_and_go(serve: Serve, repository: Repository) -> None:
    server = serve("--model-control-mode", "poll", "--repository-poll-secs", "0.1")
    server.wait_ready()
    with Client(server.target) as client:
        watch = client.health.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert next(watch).status == Status.SERVING
        repository.onnx("late", b"broken")
        assert next(watch).status == Status.NOT_SERVING
        repository.onnx("late", onnx_models.identity())
        assert next(watch).status == Status.SERVING
        watch.cancel()
