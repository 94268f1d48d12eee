"""What callers are promised, as mesh.yaml says it."""

from datetime import timedelta
from pathlib import Path

import pytest
from infermesh.description.objective import Objective
from infermesh.description.read import Description, read
from infermesh.errors import ConfigurationError

SECOND = timedelta(seconds=1)


def described(folder: Path, objective: str) -> Description:
    (folder / "models").mkdir()
    file = folder / "mesh.yaml"
    file.write_text(f"servers:\n  fraud:\n    models: models\n    objective: {objective}\n")
    return read(file)


def test_it_is_of_the_workload(tmp_path: Path) -> None:
    workload = described(tmp_path, "{success: 99%, latency: 50ms}").workloads["fraud"]
    assert workload.objective == Objective.model_validate({"success": "99%", "latency": "50ms"})


def test_nobody_promises_that_nothing_fails(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"mesh\.yaml:4: .*success: found 1\.0, expected less than 1"
    ):
        described(tmp_path, "{success: 100%}")


def test_without_a_word_on_latency_half_of_what_callers_wait_is_promised() -> None:
    assert Objective.model_validate({"latency": "1s"}).within(2 * SECOND) == SECOND
    assert Objective().within(SECOND) == SECOND / 2
    # 0s is no timeout.
    assert Objective().within(timedelta(0)) is None
    assert Objective().within(None) is None
