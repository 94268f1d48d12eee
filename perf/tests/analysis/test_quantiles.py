from collections.abc import Callable, Sequence

import numpy as np
import pytest
from infermesh_native import Histogram
from infermesh_perf.analysis.histograms import Ranks
from infermesh_perf.analysis.quantiles import bands, interval, plot_percentiles

MakeHistogram = Callable[[Sequence[int]], Histogram]


def test_ranks_are_the_sorted_values(histogram: MakeHistogram) -> None:
    ranks = Ranks(histogram([30, 10, 20, 20]))

    assert [ranks[rank] for rank in (1, 2, 3, 4)] == [10, 20, 20, 30]
    assert ranks.count == 4
    for rank in (0, 5):
        with pytest.raises(IndexError):
            ranks[rank]


def test_median_of_a_hundred(histogram: MakeHistogram) -> None:
    # Tables of order statistics: ranks 40 and 61 for 95 % (David and Nagaraja).
    found = interval(histogram(range(1, 101)), 50, 0.95)

    assert (found.low_ns, found.value_ns, found.high_ns) == (40, 50, 61)


def test_no_upper_end_without_enough_requests(histogram: MakeHistogram) -> None:
    assert interval(histogram(range(1, 101)), 99, 0.95).high_ns is None
    assert interval(histogram(range(1, 1001)), 99, 0.95).high_ns is not None
    nothing = interval(histogram([]), 99)
    assert (nothing.value_ns, nothing.low_ns, nothing.high_ns) == (0, None, None)


@pytest.mark.parametrize("percentile", [50, 90, 99])
def test_covers_the_true_percentile_as_often_as_it_says(histogram: MakeHistogram, percentile: float) -> None:
    random = np.random.default_rng(1)
    true = -np.log(1 - percentile / 100) * 1e6
    covered = 0
    for _ in range(300):
        found = interval(histogram((random.exponential(1e6, 1000)).astype(int).tolist()), percentile, 0.95)
        covered += (found.low_ns or 0) <= true * 1.001 and true * 0.999 <= (found.high_ns or np.inf)

    # 95 % of 300 is 285; below 272 by chance once in a thousand times.
    assert covered >= 272
    assert covered < 300


@pytest.mark.parametrize("percentile", [0, 100, -1, 101])
def test_refuses_other_percentiles(histogram: MakeHistogram, percentile: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        interval(histogram([1]), percentile)


def test_a_plot_reaches_as_far_as_the_requests(histogram: MakeHistogram) -> None:
    percentiles = plot_percentiles(1000)

    assert percentiles == sorted(percentiles)
    assert percentiles[-1] == pytest.approx(99.9)
    assert plot_percentiles(0) == plot_percentiles(1) == []
    drawn = bands(histogram(range(1, 1001)), percentiles)
    assert all((band.low_ns or 0) <= band.value_ns <= (band.high_ns or np.inf) for band in drawn)
