from pathlib import Path

from infermesh_perf.bench.alone import Pace, best, measure, ways
from infermesh_perf.models import MODELS


def test_one_core_leaves_one_way() -> None:
    assert ways(1) == [(1, 1)]


def test_several_cores_are_used_in_a_call_or_by_calls() -> None:
    assert ways(4) == [(1, 1), (1, 4), (4, 1)]


def test_best_is_the_fastest() -> None:
    slow, fast = Pace(1, 1, 1, 10.0), Pace(8, 1, 1, 20.0)

    assert best([slow, fast]) is fast


def test_measures_every_way_with_every_batch(tmp_path: Path) -> None:
    model = MODELS["mlp"]

    paces = measure(model.save(tmp_path), model, seconds=0.01, cores=2)

    assert len(paces) == len(ways(2)) * len(model.alone_rows)
    assert all(pace.samples_per_second > 0 for pace in paces)
