"""What the guide shows can be served."""

import re
from pathlib import Path

import pytest
from infermesh_servers.model.config import read_config

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "batching.md"
CONFIGS = re.findall(r"^```\n(max_batch_size.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def test_there_are_configurations() -> None:
    assert len(CONFIGS) >= 5


@pytest.mark.parametrize("text", CONFIGS)
def test_a_configuration_of_the_guide_is_valid(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text(text)
    found = read_config(path, "double")
    assert found.config.max_batch_size == 32
    assert not found.warnings
