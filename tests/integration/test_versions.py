"""Which version of a model answers."""

from typing import Any

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, outputs, refused, request
from support.repository import Repository
from support.server import Serve


@pytest.fixture
def three(repository: Repository) -> Repository:
    """Version N of the model multiplies by N; 10 is more than 9 as a number, and less as text."""
    for version in (2, 9, 10):
        repository.onnx("scale", onnx_models.scale(version), version=version)
    return repository


def factor(client: Client, version: str = "") -> tuple[str, Any]:
    response = client.infer(request("scale", version=version, x=floats(1, 4, start=1)))
    return response.model_version, outputs(response)["y"][0, 0]


def test_the_highest_version_alone_is_served_unless_told_otherwise(serve: Serve, three: Repository) -> None:
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        assert factor(client) == ("10", 10)
        with refused(grpc.StatusCode.NOT_FOUND, "'scale' version 9 is not found"):
            factor(client, "9")
    assert three.root.is_dir()


def test_all_versions_answer_to_their_numbers(serve: Serve, three: Repository) -> None:
    three.config("scale", "version_policy { all {} }\n")
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        assert [factor(client, version) for version in ("", "2", "9", "10")] == [
            ("10", 10),
            ("2", 2),
            ("9", 9),
            ("10", 10),
        ]
        metadata = client.inference.ModelMetadata(pb.ModelMetadataRequest(name="scale"), timeout=SECONDS)
        assert list(metadata.versions) == ["2", "9", "10"]
        statistics = client.inference.ModelStatistics(
            pb.ModelStatisticsRequest(name="scale"), timeout=SECONDS
        )
        counts = {each.version: each.inference_count for each in statistics.model_stats}
        assert counts == {"2": 1, "9": 1, "10": 2}


@pytest.mark.parametrize(
    ("policy", "served"),
    [("latest { num_versions: 2 }", {"9", "10"}), ("specific { versions: [2, 10] }", {"2", "10"})],
)
def test_a_policy_chooses(serve: Serve, three: Repository, policy: str, served: set[str]) -> None:
    three.config("scale", f"version_policy {{ {policy} }}\n")
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        assert {version for _, version in client.index()} == served


def test_without_a_number_the_highest_version_that_is_ready_answers(serve: Serve, three: Repository) -> None:
    three.config("scale", "version_policy { all {} }\n")
    (three.root / "scale" / "10" / "model.onnx").write_bytes(b"broken")
    server = serve()
    server.wait_for("server-not-ready")
    with Client(server.target) as client:
        assert factor(client) == ("9", 9)
        with refused(grpc.StatusCode.UNAVAILABLE, "'scale' version 10 is not at ready state"):
            factor(client, "10")
