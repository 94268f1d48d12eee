"""A server's canary, as mesh.yaml says it, and what is wrong with one."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from infermesh.description.read import Description
from infermesh.errors import ConfigurationError

from .conftest import Read

MESH = """\
servers:
  fraud:
    models: models
    ports: {grpc: 8001}
    timeout: 200ms
    placement: {replicas: 3, cpu: 2}
    objective: {success: 99%}
    canary:
      share: 10%
      models: next
apps:
  shop: {port: 5000}
environments:
  calm:
    servers: {fraud: {canary: false}}
  bold:
    servers: {fraud: {canary: {share: 100%, placement: {replicas: 2}}}}
"""

Make = Callable[[str], None]


@pytest.fixture(autouse=True)
def make(tmp_path: Path) -> Make:
    """Makes a model of the next repository; `fraud` is there."""

    def it(name: str) -> None:
        (tmp_path / f"next/{name}/1").mkdir(parents=True)

    it("fraud")
    return it


def refused(read_mesh: Read, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read_mesh(text)
    return [re.sub(r"^/.*/(mesh\.yaml:)", r"\1", line) for line in str(caught.value).splitlines()]


def test_what_is_not_said_is_as_of_the_first_one(read_mesh: Read) -> None:
    mesh = read_mesh(MESH)
    main, canary = mesh.workloads["fraud"], mesh.workloads["fraud-canary"]
    assert (main.split, canary.split) == ({"fraud-canary": 0.1}, {})
    assert (canary.kind, canary.models, canary.objective) == ("server", ["fraud"], main.objective)
    assert canary.policies is not None
    assert main.policies is not None
    assert canary.policies.timeout == main.policies.timeout is not None
    assert (canary.placement.replicas, canary.placement.cpu) == (3, "2")
    assert [it.number for it in canary.ports] == [it.number for it in main.ports]
    # Two cannot have one port of this machine.
    assert [it.fixed for it in canary.ports] == [None, None, None]


def test_who_calls_a_server_calls_its_canary(read_mesh: Read) -> None:
    def calls(mesh: Description) -> list[str]:
        return list(mesh.workloads["shop"].calls)

    assert calls(read_mesh(MESH)) == ["fraud", "fraud-canary"]
    assert calls(read_mesh(MESH.replace("port: 5000", "port: 5000, calls: fraud"))) == [
        "fraud",
        "fraud-canary",
    ]
    assert calls(read_mesh(MESH, "calm")) == ["fraud"]


def test_an_environment_has_it_otherwise(read_mesh: Read) -> None:
    calm, bold = read_mesh(MESH, "calm").workloads, read_mesh(MESH, "bold").workloads
    assert list(calm) == ["fraud", "shop"]
    assert not calm["fraud"].split
    assert bold["fraud"].split == {"fraud-canary": 1.0}
    assert (bold["fraud-canary"].placement.replicas, bold["fraud-canary"].placement.cpu) == (2, "2")
    laid_on = MESH.replace("calm", "trial").replace("canary: false", "canary: {share: 0%, models: next}")
    without = laid_on.replace("    canary:\n      share: 10%\n      models: next\n", "")
    assert list(read_mesh(without).workloads) == ["fraud", "shop"]
    assert read_mesh(without, "trial").workloads["fraud"].split == {"fraud-canary": 0.0}


@pytest.mark.parametrize(
    ("found", "put", "expected"),
    [
        ("10%", "110%", "mesh.yaml:9: servers.fraud.canary.share: found '110%', expected a share"),
        ("10%", "0.001%", "mesh.yaml:9: servers.fraud.canary.share: found 0.001%, expected hundredths of a"),
        ("      share: 10%\n", "", "mesh.yaml:8: servers.fraud.canary.share: is missing"),
        ("next", "nxt", "mesh.yaml:10: servers.fraud.canary.models: found nothing of this name"),
        (
            "models: next\n",
            "placement: {autoscale: {min: 5, max: 2}}\n",
            "mesh.yaml:10: servers.fraud.canary.placement.autoscale.max: found 2, expected at least `min`: 5",
        ),
        (
            "port: 5000",
            "port: 5000, calls: fraud-canary",
            "mesh.yaml:12: apps.shop.calls: found 'fraud-canary', which is no server, expected one of fraud",
        ),
        (
            "apps:\n",
            "  fraud-canary: {models: models}\napps:\n",
            "mesh.yaml:11: servers.fraud-canary: found a second workload of this name, expected another",
        ),
        (
            "servers:\n",
            "servers:\n  fraud-canary: {models: models}\n",
            "mesh.yaml:9: servers.fraud.canary: found a second workload of this name, expected another",
        ),
        (
            "  shop: {port: 5000}",
            "  fraud-canary: {port: 5000}",
            "mesh.yaml:12: apps.fraud-canary: found a second workload of this name, expected another: there "
            "is a server of it",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read_mesh: Read, found: str, put: str, expected: str) -> None:
    lines = refused(read_mesh, MESH.replace(found, put, 1))
    assert any(line.startswith(expected) for line in lines), lines


def test_requests_come_for_all_models(read_mesh: Read, tmp_path: Path, make: Make) -> None:
    """A canary that has not all of them would fail its share of the requests for the others."""
    (tmp_path / "models/ranking/1").mkdir(parents=True)
    expected = (
        "mesh.yaml:10: servers.fraud.canary.models: found no model ranking, expected what the first one has: "
        "requests come for all"
    )
    assert refused(read_mesh, MESH) == [expected]
    assert read_mesh(MESH.replace("10%", "0%"))
    assert read_mesh(MESH.replace("models: next", "models: [next, s3://more]"))
    loads = MESH.replace("models: next", "models: next\n      load: fraud")
    make("ranking")
    assert read_mesh(MESH)
    assert refused(read_mesh, loads) == [
        expected.replace(":10:", ":11:").replace("canary.models", "canary.load")
    ]
