"""How long a mesh takes is what its own processes take."""

import json
from pathlib import Path

import pytest
from infermesh_perf.bench import mesh
from infermesh_perf.errors import SetupError


def shop(folder: Path, run: str) -> Path:
    file = folder / "mesh.yaml"
    file.write_text(f"name: bench\ntls: off\napps: {{shop: {{run: '{run}'}}}}\n", encoding="utf-8")
    return file


def test_a_mesh_is_ready_and_another_is_rendered_for_everybody(tmp_path: Path) -> None:
    file = shop(tmp_path, "python -m http.server --bind 127.0.0.1 {port}")
    mesh.main(rounds=1, models=3, mesh=file, out=tmp_path / "result.json")
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["options"]["models"] == 3
    (ready,) = found["ready_seconds"]
    assert 0 < ready < 60
    assert found["render_seconds"].keys() == mesh.TARGETS.keys()
    assert all(len(times) == 1 and times[0] > 0 for times in found["render_seconds"].values())
    assert found["summary"]["ready"]["median"] == ready


def test_a_mesh_that_does_not_come_up_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="did not come up"):
        mesh.main(rounds=1, models=1, mesh=shop(tmp_path, "false"), out=tmp_path / "result.json")
    assert not (tmp_path / "result.json").exists()
