"""What charts are given to draw."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from infermesh_native import Histogram
from infermesh_perf.analysis import slo
from infermesh_perf.report.charts import batches, curve, heatmap, hops, lag, percentiles, ratios, timeline
from infermesh_perf.results.distribution import summarise
from infermesh_perf.results.document import Moment
from support import perf_documents
from support.perf_levels import EMPTY

Row = dict[str, Any]


def _rows(spec: dict[str, Any] | None, field: str) -> list[Row]:
    """Rows of the chart's data that have a field."""
    assert spec is not None
    assert "$schema" not in spec
    return [row for rows in spec["datasets"].values() for row in rows if field in row]


def _moment(second: int, requests: int) -> Moment:
    return Moment(
        start_seconds=second,
        seconds=1,
        completed=requests,
        failed=0,
        outstanding=second % 7,
        p50_ns=1000,
        p99_ns=2000 + second,
        heat={4: requests},
    )


@pytest.fixture(scope="module")
def levels() -> list[Any]:
    return perf_documents.run().levels


def test_the_curve_has_a_point_for_each_load_and_the_knee(levels: list[Any]) -> None:
    limits = slo.parse("p99<20ms,throughput>4000/s,errors<1%").limits

    found = curve.chart({"": levels}, ["p50", "p99"], limits)

    points = [row for row in _rows(found, "series") if row["series"] == "p99"]
    assert [row["latency"] for row in points] == [level.latency.percentiles_ns["99"] for level in levels]
    labels = [row["label"] for row in _rows(found, "label")]
    assert set(labels) == {"knee: concurrency 8", "p99<20ms", "throughput>4000/s"}


def test_one_load_is_no_curve(levels: list[Any]) -> None:
    unanswered = perf_documents.unanswered().levels[0]

    assert curve.chart({"": levels[:1]}, ["p99"], []) is None
    assert curve.chart({"": [levels[0], unanswered]}, ["p99"], []) is None


def test_percentiles_of_a_thousand_values() -> None:
    histogram = Histogram()
    for value in range(1000, 2000):
        histogram.record(value)

    rows = _rows(percentiles.chart({"all": summarise(histogram), "none": EMPTY}), "tail")

    at_99 = next(row for row in rows if row["tail"] == pytest.approx(100))
    assert at_99["percentile"] == "99.00%"
    assert at_99["latency"] == pytest.approx(1990, abs=1)
    # The ranks between which the 99th percentile of 1,000 lies with 95 % confidence are 984 and 997.
    assert (at_99["low"], at_99["high"]) == (pytest.approx(1983, abs=1), pytest.approx(1996, abs=1))
    last = rows[-1]
    assert (last["tail"], last["high"]) == (pytest.approx(1000), 1999)
    assert last["band"].endswith("to unknown")


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_requests_have_no_percentiles(count: int) -> None:
    histogram = Histogram()
    histogram.record(5, count)

    assert percentiles.chart({"all": summarise(histogram)}) is None


def test_limits_stand_where_their_percentile_is(levels: list[Any]) -> None:
    limits = slo.parse("p99.9<50ms,mean<2ms").limits

    marks = _rows(percentiles.chart({"all": levels[0].latency}, limits), "label")

    assert marks == [{"tail": pytest.approx(1000), "limit": 50e6, "label": "p99.9<50ms"}]


def test_long_runs_are_drawn_in_slices_that_lose_no_request() -> None:
    moments = [_moment(second, 10 + second) for second in range(301)]

    merged = timeline.merged(moments)

    assert len(merged) == 101
    assert sum(each.completed for each in merged) == sum(each.completed for each in moments)
    assert (merged[0].seconds, merged[0].p99_ns, merged[0].heat) == (3, 2002, {4: 33})
    assert merged[-1].start_seconds + merged[-1].seconds == 301
    assert timeline.merged(moments[:120]) == moments[:120]


def test_strips_are_there_for_what_was_seen() -> None:
    quiet = [_moment(second, 10) for second in range(3)]
    busy = [each.model_copy(update={"failed": 4, "gpu": 0.5}) for each in quiet]

    assert len(timeline.charts([])) == 0
    assert len(timeline.charts(quiet)) == 2
    rate, errors, outstanding, device = timeline.charts(busy)
    assert [row["value"] for row in _rows(rate, "value")] == [10, 10, 10]
    assert [row["text"] for row in _rows(errors, "value")] == ["4/s"] * 3
    assert [row["value"] for row in _rows(outstanding, "value")] == [0, 1, 2]
    assert [row["text"] for row in _rows(device, "value")] == ["50 %"] * 3


def test_the_heat_map_tells_one_request_from_thousands() -> None:
    moment = _moment(0, 1).model_copy(update={"heat": {0: 1, 4: 60, 8: 5000, 12: 0}})

    cells = _rows(heatmap.chart([moment]), "bucket")

    assert [(cell["bucket"], cell["requests"]) for cell in cells] == [(0, 1), (4, 60), (8, 5000)]
    assert [cell["shade"] for cell in cells] == ["1 to 4", "18 to 71", "1,210 to 5,000"]
    assert heatmap.chart([moment.model_copy(update={"heat": {}})]) is None


def test_hops_keep_order_and_colour_whichever_are_known(levels: list[Any]) -> None:
    only_queue = levels[0].model_copy(update={"hops": [hop for hop in levels[0].hops if hop.name == "queue"]})

    full = hops.chart([("a", levels[0])])
    part = hops.chart([("b", only_queue), ("c", perf_documents.unanswered().levels[0])])

    def scale(spec: dict[str, Any] | None) -> dict[str, str]:
        assert spec is not None
        found = spec["encoding"]["color"]["scale"]
        return dict(zip(found["domain"], found["range"], strict=True))

    assert list(scale(full))[:4] == ["client lag", "network", "sidecar", "queue"]
    assert scale(part) == {"queue": scale(full)["queue"]}
    assert [row["share"] for row in _rows(part, "share")] == ["100 %"]


def test_batches_count_executions_and_rows() -> None:
    rows = _rows(batches.chart({8: 30, 1: 10, 4: 0}), "size")

    assert [(row["size"], row["of_executions"], row["of_rows"]) for row in rows] == [
        (1, "25 %", "4 %"),
        (8, "75 %", "96 %"),
    ]
    assert batches.chart({}) is None


def test_lags_are_shares_of_all_requests() -> None:
    histogram = Histogram()
    histogram.record(0, 60)
    histogram.record(1_000_000, 40)

    rows = _rows(lag.chart({"late": summarise(histogram), "none": EMPTY}), "share")

    assert [row["share"] for row in rows] == [0.6, 0.4]
    assert (rows[0]["low"], rows[1]["low"]) == (100, 1_000_000)
    assert lag.chart({"none": EMPTY}) is None


def test_ratios_have_rounds_intervals_and_the_effect() -> None:
    comparison = perf_documents.comparison()

    found = ratios.chart(comparison.ratios, 0.05)

    assert [row["verdict"] for row in _rows(found, "verdict")] == ["same", "better", "worse", "unclear"]
    assert len(_rows(found, "round")) == 4 * 8
    assert {"low": 0.95, "high": 1.05} in _rows(found, "low")
    assert ratios.chart([], 0.05) is None


def test_rounds_that_do_not_match_stand_beside_the_middle_of_a() -> None:
    ratio = perf_documents.comparison().ratios[0].model_copy(update={"a": [1.0, 2.0, 9.0], "b": [4.0, 100.0]})

    dots = _rows(ratios.chart([ratio], 0.05), "round")

    # What is beyond the axis is drawn at its end and says what it is.
    assert [(dot["ratio"], dot["text"]) for dot in dots] == [(2, "2"), (20, "50")]


@pytest.mark.parametrize("make", [perf_documents.run, perf_documents.failing])
def test_colours_are_those_of_the_page(make: Callable[[], Any]) -> None:
    document = make()
    charts = [
        curve.chart({"": document.levels}, ["p99"], []),
        hops.chart([("all", document.levels[0])]),
        heatmap.chart(document.levels[0].timeline),
    ]

    assert "var(--" in json.dumps(charts)
    assert "#" not in json.dumps(charts)
