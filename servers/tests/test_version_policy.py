"""Which versions a policy serves."""

import pytest
from google.protobuf import text_format
from infermesh.proto.inference.model_config_pb2 import ModelVersionPolicy
from infermesh_servers.model.version_policy import missing, select


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", [10]),
        ("latest {}", [10]),
        ("latest { num_versions: 2 }", [2, 10]),
        ("latest { num_versions: 9 }", [1, 2, 10]),
        ("all {}", [1, 2, 10]),
        ("specific { versions: [2, 1, 7] }", [1, 2]),
    ],
)
def test_a_policy_chooses_by_number(policy: str, served: list[int]) -> None:
    assert select(text_format.Parse(policy, ModelVersionPolicy()), [10, 1, 2]) == served


def test_no_versions_are_none() -> None:
    assert select(ModelVersionPolicy(), []) == []


def test_missing_names_what_a_specific_policy_lacks() -> None:
    policy = text_format.Parse("specific { versions: [2, 7] }", ModelVersionPolicy())
    assert missing(policy, [1, 2]) == [7]
