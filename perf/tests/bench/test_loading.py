"""The benchmarks of loading, small and short, against the real server."""

import json
from pathlib import Path

import pytest
from infermesh_perf.bench import load_stall, many_models
from infermesh_perf.bench.compare import Spread


def test_loading_is_measured_beside_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result.json"
    load_stall.main(rounds=2, duration=0.1, megabytes=4, root=tmp_path, out=out)
    found = json.loads(out.read_text())
    assert len(found["windows"]["quiet"]) == len(found["windows"]["loading"]) == 2
    assert found["overall"]["loading"]["calls"] > 0
    ratios = [
        busy["p99"] / calm["p99"]
        for busy, calm in zip(found["windows"]["loading"], found["windows"]["quiet"], strict=True)
    ]
    assert found["p99_ratio"]["median"] == pytest.approx(Spread.of(ratios).median)
    assert "p99 while loading / quiet" in capsys.readouterr().out


def test_many_models_are_listed_and_costed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result.json"
    many_models.main(models=5, calls=2, root=tmp_path, out=out)
    found = json.loads(out.read_text())
    assert found["listed"] == 5
    assert found["many"]["threads"] > found["one"]["threads"]
    assert "per model" in capsys.readouterr().out
