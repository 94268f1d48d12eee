from itertools import pairwise
from pathlib import Path

import pytest
from infermesh_perf.hops import envoy_metrics, gathered
from infermesh_perf.hops.exposition import Series, Snapshot, parse
from infermesh_perf.hops.gathered import Gathered, Gathering
from infermesh_perf.hops.nv_metrics import server_times
from infermesh_perf.hops.server_times import ServerTimes

SAMPLES = Path(__file__).parent / "samples"
FIRST: Series = ("nv_gpu_utilization", (("gpu_uuid", "GPU-1"),))
SECOND: Series = ("nv_gpu_utilization", (("gpu_uuid", "GPU-2"),))


def _gathered(*snapshots: Snapshot) -> Gathered:
    gathering = Gathering()
    for second, snapshot in enumerate(snapshots):
        gathering.add(second, snapshot)
    return gathering.result()


def test_gauges_have_mean_and_maximum() -> None:
    found = _gathered(
        *(Snapshot(gauges={FIRST: value, SECOND: 1.0, ("q", ()): value}) for value in (0, 0.75, 0))
    )
    assert found.gauges == {
        'nv_gpu_utilization{gpu_uuid="GPU-1"}': (0.25, 0.75),
        'nv_gpu_utilization{gpu_uuid="GPU-2"}': (1.0, 1.0),
        "q": (0.25, 0.75),
    }
    assert found.points[FIRST] == [(0, 0), (1, 0.75), (2, 0)]
    assert ("q", ()) not in found.points
    assert (found.gpu(1, 1), found.gpu(0, 2)) == (0.875, 0.6875)
    assert found.gpu(3, 1) is None


def test_counters_grow_from_the_first_to_the_last() -> None:
    a, b, new = ("a", ()), ("b", ()), ("new", ())
    found = _gathered(
        Snapshot(counters={a: 5, b: 100}), Snapshot(counters={a: 6}), Snapshot(counters={a: 9, b: 3, new: 2})
    )
    assert found.grown == {a: 4, new: 2}
    assert found.remarks == ["counters went backwards, the server was started anew meanwhile: b"]


def test_failures_are_counted_and_told() -> None:
    gathering = Gathering()
    gathering.add(0, Snapshot(gauges={FIRST: 0.5}))
    gathering.fail("refused")
    gathering.fail("timed out")
    found = gathering.result()
    assert (found.scrapes, found.failed) == (1, 2)
    assert found.remarks == ["2 of 3 scrapes failed, the last one: timed out"]


def test_nothing_was_read() -> None:
    found = Gathering().result()
    assert (found.gauges, found.grown, found.points, found.remarks, found.gpu(0, 1)) == ({}, {}, {}, [], None)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered, "MAX_POINTS", 8)
    monkeypatch.setattr(gathered, "MAX_SERIES", 3)
    gathering = Gathering()
    for second in range(1000):
        gathering.add(second, Snapshot(gauges={FIRST: second, ("label", (("is", str(second)),)): 1}))
    found = gathering.result()
    times = [at for at, _ in found.points[FIRST]]
    assert 4 <= len(times) <= 8
    assert times[0] == 0
    # They are spread evenly over the whole time.
    assert {later - earlier for earlier, later in pairwise(times)} == {times[1]}
    assert times[-1] >= 1000 - times[1]
    assert len(found.gauges) == 3
    # The mean is over all that was seen.
    assert found.gauges["nv_gpu_utilization"] == (499.5, 999)


def _nv(model: str, version: str, requests: int, per_request_us: int) -> dict[Series, float]:
    labels = (("model", model), ("version", version))
    tenths = {"request": 10, "queue": 1, "compute_input": 2, "compute_infer": 3, "compute_output": 1}
    found: dict[Series, float] = {("nv_inference_request_success", labels): requests}
    for stage, part in tenths.items():
        found[f"nv_inference_{stage}_duration_us", labels] = requests * per_request_us * part / 10
    return found


def test_a_servers_account_from_its_counters() -> None:
    before = Snapshot(counters=_nv("m", "1", 10, 50) | _nv("m", "2", 0, 0) | _nv("other", "1", 0, 0))
    after = Snapshot(counters=_nv("m", "1", 20, 75) | _nv("m", "2", 30, 20) | _nv("other", "1", 99, 1))
    found = _gathered(before, after)
    assert server_times(found, [("m", "1")]) == ServerTimes(
        "Prometheus", 10, 100_000, 10_000, 20_000, 30_000, 10_000
    )
    both = server_times(found, [("m", "")])
    assert both is not None
    assert (both.requests, both.total_ns) == (40, 40_000)
    assert server_times(found, [("absent", "")]) is None


def _envoy(name: str) -> Snapshot:
    return parse((SAMPLES / name).read_text(), envoy_metrics.NAMES)


def test_what_envoy_adds() -> None:
    found = _gathered(_envoy("envoy_before.txt"), _envoy("envoy_after.txt"))
    # 400 requests took 8,000 ms with the client and 7,400 ms upstream; what asks for the metrics is left out.
    assert envoy_metrics.sidecar_mean_ns(found) == pytest.approx(1_500_000)


def test_short_requests_are_beyond_envoys_whole_milliseconds() -> None:
    nothing = _envoy("envoy_before.txt")
    assert envoy_metrics.sidecar_mean_ns(_gathered(nothing, nothing)) is None
    labels = (("envoy_http_conn_manager_prefix", "inference"),)
    cluster = (("envoy_cluster_name", "server"),)
    short: dict[Series, float] = {
        ("envoy_http_downstream_rq_time_count", labels): 100,
        ("envoy_http_downstream_rq_time_sum", labels): 200,
        ("envoy_cluster_upstream_rq_time_count", cluster): 100,
        ("envoy_cluster_upstream_rq_time_sum", cluster): 100,
    }
    assert envoy_metrics.sidecar_mean_ns(_gathered(Snapshot(), Snapshot(counters=short))) is None
