"""A mesh of one server and one app."""

from pathlib import Path

import pytest
from infermesh.description.read import Description, read

MESH = """\
name: shop
servers:
  fraud:
    models: models
    timeout: 400ms
  slow: {models: other, retry: false}
apps:
  checkout:
    port: 5000
    calls: fraud
    objective: {success: 99%, latency: 1500ms}
"""


@pytest.fixture
def description(tmp_path: Path) -> Description:
    """Two servers with a model each, and an app that calls one of them."""
    for repository, model in (("models", "scores"), ("other", "vision")):
        (tmp_path / repository / model / "1").mkdir(parents=True)
    file = tmp_path / "mesh.yaml"
    file.write_text(MESH)
    return read(file)
