"""What the objects of Kubernetes are made of."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from infermesh.deploy.kubernetes.exposure import exposure
from infermesh.deploy.kubernetes.flavours.none import NoMesh
from infermesh.deploy.kubernetes.pod import grace
from infermesh.deploy.kubernetes.probes import probes
from infermesh.deploy.kubernetes.resources import resources
from infermesh.deploy.kubernetes.services import port_name, services
from infermesh.deploy.kubernetes.storage import claims, mount_path, volume_name
from infermesh.description.place import Duty, Reach
from infermesh.description.placement import Placement
from infermesh.description.workload import Container, Port, Probe, Workload

Make = Callable[..., Workload]


class Somewhere:
    """A place of which nothing is asked."""

    identity = None
    is_private = False
    duties: frozenset[Duty] = frozenset()

    def listen(self, port: str) -> str:
        raise NotImplementedError(port)

    def number(self, port: str) -> int:
        raise NotImplementedError(port)

    def reach(self, workload: str, port: str) -> Reach:
        raise NotImplementedError(workload, port)

    def path(self, given: str) -> str:
        raise NotImplementedError(given)

    def file(self, name: str) -> str:
        raise NotImplementedError(name)


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (Port("grpc", 1, "grpc"), "grpc"),
        (Port("metrics", 1, "http"), "http-metrics"),
        (Port("something-long", 1, "grpc"), "grpc-something"),
    ],
)
def test_names_of_ports_say_the_protocol_and_are_short_enough(port: Port, expected: str) -> None:
    assert port_name(port) == expected
    assert len(port_name(port)) <= 15


def test_only_ports_of_the_mesh_are_in_services(make: Make) -> None:
    workload = make(
        ports=[
            Port("grpc", 8001, "grpc"),
            Port("http", 8000, "http", "operators"),
            Port("app", 5000, "http", "itself"),
        ]
    )
    one, all_pods = services(workload, "ns", NoMesh())
    assert one["spec"]["ports"] == [{"name": "grpc", "port": 8001, "targetPort": "grpc"}]
    assert all_pods["metadata"]["name"] == "it-pods"
    assert all_pods["spec"]["clusterIP"] == "None"
    assert list(services(make(), "ns", NoMesh())) == []


def test_folders_that_end_alike_have_volumes_of_their_own() -> None:
    assert mount_path("models") == mount_path("./models/") == "/var/lib/infermesh/models"
    assert volume_name("models") == "data-models"
    assert len({volume_name(it) for it in ("models", "a/models", "b/models", "/models", "Models")}) == 5
    assert len(volume_name("x/" + "y" * 200)) <= 63
    assert volume_name("..").startswith("data-folder-")


def test_a_claim_has_room_for_twice_what_there_is(tmp_path: Path) -> None:
    with (tmp_path / "model.onnx").open("wb") as file:
        file.truncate(3 << 30)
    (claim,) = claims(tmp_path, {"data-models": "."}, "ns")
    assert claim["spec"]["resources"]["requests"]["storage"] == "6Gi"
    (small,) = claims(tmp_path, {"data-models": "not-there"}, "ns")
    assert small["spec"]["resources"]["requests"]["storage"] == "1Gi"


@pytest.mark.parametrize(
    ("seconds", "expected"), [((30,), 40), ((30, 35), 75), ((30, 35, 0.5), 76), ((0,), 10)]
)
def test_containers_end_one_after_another(make: Make, seconds: tuple[float, ...], expected: int) -> None:
    workload = make(*seconds)
    assert grace(workload, workload.containers(Somewhere())) == expected


def test_a_sidecar_has_what_it_says(make: Make) -> None:
    placement = Placement.model_validate({"cpu": 2, "memory": "3GiB"})
    app, sidecar = make(30, 35, placement=placement).containers(Somewhere())
    assert resources(app, placement) == {
        "requests": {"cpu": "2", "memory": "3Gi"},
        "limits": {"memory": "3Gi"},
    }
    assert resources(sidecar, placement)["limits"] == {"memory": "512Mi"}


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (Probe("http", "/ready"), {"httpGet": {"path": "/ready", "port": "http"}}),
        (Probe("http", None, "tcp"), {"tcpSocket": {"port": "http"}}),
        (Probe("http", None, "grpc"), {"grpc": {"port": 8000}}),
    ],
)
def test_probes(make: Make, probe: Probe, expected: dict[str, object]) -> None:
    container = Container("it", "it", (), is_ours=False, ready=probe)
    found = probes(container, make())
    assert found["readinessProbe"].items() >= expected.items()
    # Whoever has no sign of life is not ended for want of readiness.
    assert "livenessProbe" not in found


def test_nobody_asks_where_nobody_comes(make: Make) -> None:
    workload = make(ports=[Port("app", 5000, "http", "itself")])
    container = Container("it", "it", (), is_ours=False, ready=Probe("app", "/"))
    assert probes(container, workload) == {}


def test_an_ingress_says_that_it_does_not_split(make: Make) -> None:
    port = Port("inbound", 15106, "http")
    workload = replace(make(ports=[port]), exposed="shop.example.com")
    (whole,) = exposure(workload, "ns")
    (split,) = exposure(replace(workload, split={"it-canary": 0.1}), "ns")
    assert "annotations" not in whole["metadata"]
    assert split["metadata"]["annotations"] == {"infermesh/not-kept": "split"}
    assert split["spec"] == whole["spec"]
