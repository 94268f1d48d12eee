import pytest
from infermesh_native import Histogram
from infermesh_perf.results.distribution import histogram, latency, summarise
from infermesh_perf.results.document import Distribution


def _many() -> Distribution:
    found = Histogram()
    for value in range(1, 1000):
        found.record(value)
    return summarise(found)


def test_what_people_ask_of_a_histogram() -> None:
    found = _many()

    assert (found.count, found.min_ns, found.max_ns) == (999, 1, 999)
    assert found.mean_ns == pytest.approx(500.0)
    assert found.stdev_ns == pytest.approx(288.4, rel=0.01)
    assert found.percentiles_ns == {"50": 500, "90": 900, "95": 950, "99": 990, "99.9": 999, "99.99": 999}


def test_nothing_is_all_zero() -> None:
    found = summarise(Histogram())

    assert (found.count, found.mean_ns, found.max_ns, found.percentiles_ns["99"]) == (0, 0, 0, 0)
    assert histogram(found).count == 0


def test_the_histogram_survives() -> None:
    found = _many()

    assert histogram(found).steps() == [(value, 1) for value in range(1, 1000)]


@pytest.mark.parametrize(
    ("metric", "expected"), [("mean", 500.0), ("max", 999), ("p50", 500), ("p99.9", 999), ("p75", 750)]
)
def test_metrics_by_their_names(metric: str, expected: float) -> None:
    assert latency(_many(), metric) == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["", "p", "throughput"])
def test_what_is_no_latency(metric: str) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        latency(_many(), metric)


@pytest.mark.parametrize("encoded", ["!", "aGVsbG8="])
def test_what_is_no_histogram(encoded: str) -> None:
    broken = _many().model_copy(update={"encoded": encoded})

    with pytest.raises(ValueError, match=r"."):
        histogram(broken)
