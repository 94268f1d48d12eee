"""Values as Compose and Consul write them, and names of what is mounted."""

from datetime import timedelta

import pytest
from infermesh.deploy.compose.text import seconds, shares, size
from infermesh.deploy.mounts import Mounts


@pytest.mark.parametrize(
    ("count", "expected"), [(1 << 30, "1g"), (1536 << 20, "1536m"), (4096, "4k"), (1001, "1001b")]
)
def test_sizes(count: int, expected: str) -> None:
    assert size(count) == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"), [(0, "0s"), (1, "1s"), (35_000, "35s"), (35_001, "36s")]
)
def test_times_are_not_cut(milliseconds: int, expected: str) -> None:
    assert seconds(timedelta(milliseconds=milliseconds)) == expected


@pytest.mark.parametrize(("cores", "expected"), [("2", 2048), ("0.5", 512), ("500m", 512), ("1m", 2)])
def test_shares(cores: str, expected: int) -> None:
    assert shares(cores) == expected


def test_mounts_have_a_name_each() -> None:
    mounts = Mounts()
    assert mounts.seen("a/models") == "/mnt/models"
    assert mounts.seen("b/models") == "/mnt/models-2"
    assert mounts.seen("a/models") == "/mnt/models"
    assert mounts.seen("s3://bucket/models") == "s3://bucket/models"
    assert mounts.seen("/") == "/mnt/folder"
    assert mounts.given == {"models": "a/models", "models-2": "b/models", "folder": "/"}
