"""Configurations for tests, as text."""

from collections.abc import Callable
from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh.settings.document import YamlDocument
from infermesh_sidecar.settings.read import read_settings
from infermesh_sidecar.settings.sidecar import Sidecar

HERE = Path(__file__).parent

Read = Callable[[str], Sidecar]
Mistakes = Callable[[str], list[str]]


@pytest.fixture
def read() -> Read:
    """Read a sidecar.yaml."""
    return lambda text: read_settings(YamlDocument.parse(text, "sidecar.yaml"))


@pytest.fixture
def mistakes(read: Read) -> Mistakes:
    """What is said of a sidecar.yaml with mistakes, line by line."""

    def lines(text: str) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            read(text)
        return str(caught.value).splitlines()

    return lines


@pytest.fixture(scope="session")
def everything() -> str:
    """Every field of the schema, none of them at its default."""
    return (HERE / "everything.yaml").read_text()
