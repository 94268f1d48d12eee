import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from infermesh.description.place import Place
from infermesh.description.placement import Placement
from infermesh.description.workload import Container, Port, Workload
from infermesh.errors import ConfigurationError
from infermesh.launch.ports import assign


@dataclass(frozen=True)
class Nothing(Workload):
    """A workload that only listens."""

    def containers(self, place: Place) -> Sequence[Container]:
        raise NotImplementedError


def workload(name: str, *ports: Port, replicas: int = 1) -> Workload:
    return Nothing(name, "test", Placement(replicas=replicas), ports)


GRPC = Port("grpc", 8001, "grpc")


def test_everybody_has_a_port_of_their_own(tmp_path: Path) -> None:
    found = assign([workload("a", GRPC, replicas=3), workload("b", GRPC)], tmp_path / "ports.json")
    assert list(found) == [("a", 0, "grpc"), ("a", 1, "grpc"), ("a", 2, "grpc"), ("b", 0, "grpc")]
    assert len(set(found.values())) == 4


def test_the_next_time_they_are_the_same_unless_taken(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    before = assign([workload("a", GRPC, replicas=2)], file)
    assert assign([workload("a", GRPC, replicas=2)], file) == before
    with socket.create_server(("127.0.0.1", before["a", 0, "grpc"])):
        after = assign([workload("a", GRPC, replicas=2)], file)
    assert after["a", 0, "grpc"] != before["a", 0, "grpc"]
    assert after["a", 1, "grpc"] == before["a", 1, "grpc"]


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"a/0/grpc": "many"})])
def test_what_is_remembered_is_a_convenience_only(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ports.json"
    file.write_text(text)
    assert assign([workload("a", GRPC)], file)["a", 0, "grpc"] > 0


def test_a_fixed_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=rf"a: port {port} \(grpc\) cannot be had: Address already"
        ):
            assign([workload("a", Port("grpc", 8001, "grpc", fixed=port))], tmp_path / "ports.json")
        # Somebody else is meant to listen there.
        foreign = Port("app", port, "http", fixed=port, is_foreign=True)
        assert assign([workload("a", foreign)], tmp_path / "ports.json")["a", 0, "app"] == port


def test_several_cannot_have_one_fixed_port(tmp_path: Path) -> None:
    fixed = Port("grpc", 8001, "grpc", fixed=18001)
    with pytest.raises(ConfigurationError, match="a: 2 of it cannot all listen on port 18001"):
        assign([workload("a", fixed, replicas=2)], tmp_path / "ports.json")
