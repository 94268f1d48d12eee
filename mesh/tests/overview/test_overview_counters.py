"""From counters to rates: readings of one process, one after another."""

import math

import pytest
from infermesh.overview.exposition import Samples, read
from infermesh.overview.increases import STARTED, Increases
from infermesh.overview.quantiles import merged, quantile


def reading(count: float, started: float = 1.0) -> Samples:
    return {("requests", (("model", "m"),)): count, (STARTED, ()): started}


def grown(*readings: tuple[float, Samples]) -> tuple[float, float]:
    """Seconds, and what was counted in them."""
    increases = Increases()
    for at, samples in readings:
        increases.add(at, samples)
    found = increases.over_window(readings[-1][0])
    return found.seconds, found.total("requests", model="m")


def test_one_reading_tells_no_rate() -> None:
    increases = Increases()
    increases.add(5.0, reading(100))
    assert increases.over_window(5.0).rate(0) is None


def test_a_rate_is_of_the_last_ten_seconds() -> None:
    readings = [(float(at), reading(at * at)) for at in range(15)]
    assert grown(*readings) == (10.0, 14.0**2 - 4.0**2)


def test_a_process_that_began_anew_counts_from_zero() -> None:
    assert grown((0.0, reading(90)), (1.0, reading(100)), (2.0, reading(130, started=2.0))) == (2.0, 140.0)


def test_a_counter_that_fell_counts_from_zero() -> None:
    assert grown((0.0, reading(90)), (1.0, reading(7))) == (1.0, 7.0)


def test_a_series_is_there_from_its_first_event_on() -> None:
    assert grown((0.0, {(STARTED, ()): 1.0}), (1.0, reading(3))) == (1.0, 3.0)


def test_a_time_without_an_answer_is_a_part_of_the_rate() -> None:
    increases = Increases()
    increases.add(0.0, reading(0))
    increases.add(20.0, reading(100))
    found = increases.over_window(20.0)
    assert found.rate(found.total("requests", model="m")) == 5.0


def test_what_is_zero_and_what_nobody_asked_for_is_not_read() -> None:
    text = '# TYPE a counter\na 1\nb 0\nc_bucket{le="1"} 0\nd 4\n'
    assert read(text, {"a", "b", "c_bucket"}) == {("a", ()): 1.0, ("c_bucket", (("le", "1"),)): 0.0}


def test_labels_are_read_as_they_were_written() -> None:
    assert read('a{name="a \\"b\\" {c}"} 1\n', {"a"}) == {("a", (("name", 'a "b" {c}'),)): 1.0}


@pytest.mark.parametrize("text", ["a{b=1} x\n", "a one\n", 'a{b="1\n'])
def test_what_is_no_metric_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(text, {"a"})


def test_a_quantile_is_between_the_bounds_of_its_bucket() -> None:
    histogram = {1.0: 0.0, 2.0: 50.0, 4.0: 100.0, math.inf: 100.0}
    assert quantile(histogram, 0.5) == 2.0
    assert quantile(histogram, 0.75) == 3.0
    assert quantile(histogram, 0.25) == 1.5


def test_what_is_above_all_bounds_is_the_last_of_them() -> None:
    assert quantile({1.0: 0.0, 2.0: 0.0, math.inf: 9.0}, 0.5) == 2.0


def test_nothing_has_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({1.0: 0.0, math.inf: 0.0}, 0.5) is None


def test_histograms_of_several_processes_are_one() -> None:
    assert merged([{1.0: 2.0, math.inf: 3.0}, {1.0: 1.0, math.inf: 1.0}]) == {1.0: 3.0, math.inf: 4.0}
