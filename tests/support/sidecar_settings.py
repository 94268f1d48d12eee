"""Configurations of sidecars, read from text."""

from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh.settings.document import YamlDocument
from infermesh_sidecar.settings.read import read_settings
from infermesh_sidecar.settings.sidecar import Sidecar

TESTS = Path(__file__).parents[2] / "sidecar/tests"

#: Every field of the schema.
EVERYTHING = (TESTS / "everything.yaml").read_text()


def read(text: str) -> Sidecar:
    """A sidecar.yaml that is right."""
    return read_settings(YamlDocument.parse(text, "sidecar.yaml"))


def mistakes(text: str) -> list[str]:
    """What is said of a sidecar.yaml that is not, line by line."""
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    return str(caught.value).splitlines()
