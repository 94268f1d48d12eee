import json
from pathlib import Path

import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh_perf.bench import load_step


def told(**batches: tuple[int, int]) -> pb.ModelStatistics:
    """By rows, how many batches ran, and the nanoseconds of each stage of them all."""
    found = pb.ModelStatistics()
    for rows, (count, ns) in batches.items():
        it = found.batch_stats.add(batch_size=int(rows[1:]))
        for stage in (it.compute_input, it.compute_infer, it.compute_output):
            stage.count, stage.ns = count, ns
    return found


def test_batches_are_those_between_two_answers() -> None:
    before = told(n1=(2, 2_000_000), n8=(1, 9_000_000))
    after = told(n1=(4, 6_000_000), n4=(1, 5_000_000), n8=(1, 9_000_000))
    assert load_step.batches(before, after) == [
        {"rows": 1, "count": 2, "mean_ms": 6.0},
        {"rows": 4, "count": 1, "mean_ms": 15.0},
    ]


def test_arrivals_are_counted_from_the_first_of_them() -> None:
    start, millisecond = 10**18, 10**6
    due = [start, start + 9 * millisecond, start + 31 * millisecond, start + 50 * millisecond]
    assert load_step.slots(due, 0.05) == [2, 0, 0, 1, 0]


def test_a_step_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result.json"
    load_step.main(rate=20, times=5, seconds=1, patience=5, layers=1, root=tmp_path, out=out)
    found = json.loads(out.read_text())
    base, step = found["phases"]["base"], found["phases"]["step"]
    for phase in (base, step):
        arrivals = [int(it) for it in phase["arrivals"].split()]
        assert len(arrivals) == 1 / found["slot_seconds"]
        assert 0 <= phase["answered"] + phase["failed"] - sum(arrivals) <= 2
    assert step["answered"] > 2 * base["answered"] > 0
    ran = sum(it["rows"] * it["count"] for it in found["batches"])
    assert ran >= base["answered"] + step["answered"]
    assert "batches of 1" in capsys.readouterr().out
