from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from infermesh.description.read import Description, read

Read = Callable[..., Description]


@pytest.fixture
def read_mesh(tmp_path: Path) -> Read:
    """Reads text as a mesh.yaml beside which there is a repository with the model `fraud`."""
    (tmp_path / "models/fraud/1").mkdir(parents=True)

    def read_text(text: str, environment: str | None = None) -> Description:
        file = tmp_path / "mesh.yaml"
        file.write_text(dedent(text))
        return read(file, environment)

    return read_text
