from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from infermesh_native import Histogram
from infermesh_perf.analysis import early_stopping
from infermesh_perf.analysis.scenario_result import Observed, judge
from infermesh_perf.analysis.scenarios import SCENARIOS

MakeHistogram = Callable[[Sequence[int]], Histogram]
MS = 1_000_000
LONG = 600.0


def test_server_needs_459_queries_and_more_for_each_overrun() -> None:
    assert early_stopping.server(459, 0, 99).met
    assert early_stopping.server(458, 0, 99).missing == 1
    assert early_stopping.server(662, 1, 99).met
    assert early_stopping.server(661, 1, 99).missing == 1


@pytest.mark.parametrize(("percentile", "needed"), [(90, 64), (99, 662)])
def test_estimate_needs_its_queries(histogram: MakeHistogram, percentile: float, needed: int) -> None:
    few = early_stopping.estimate(histogram(range(1, needed)), percentile)
    assert (few.value_ns, few.queries, few.needed) == (None, needed - 1, needed)

    enough = early_stopping.estimate(histogram(range(1, needed + 1)), percentile)
    # With one query over, nothing is discarded: the highest of all is the estimate.
    assert (enough.value_ns, enough.discarded) == (needed, 0)


def test_estimate_discards_more_of_a_longer_run(histogram: MakeHistogram) -> None:
    found = early_stopping.estimate(histogram(range(1, 2001)), 90)

    assert found.discarded > 100
    assert found.value_ns == 2000 - found.discarded
    assert early_stopping.server(2000, found.discarded + 1, 90).met
    assert not early_stopping.server(2000, found.discarded + 2, 90).met


def test_estimate_is_below_the_true_percentile_at_most_once_in_a_hundred(histogram: MakeHistogram) -> None:
    random = np.random.default_rng(3)
    true = np.log(10) * 1e6
    low = 0
    for _ in range(300):
        found = early_stopping.estimate(histogram(random.exponential(1e6, 500).astype(int).tolist()), 90)
        low += (found.value_ns or 0) < true * 0.999

    # 1 % of 300 is 3; more than 10 by chance once in a thousand times.
    assert low <= 10


def test_rules_of_the_scenarios() -> None:
    asked = {name: (r.percentile, r.samples_per_query, r.minimum_queries) for name, r in SCENARIOS.items()}

    assert asked == {
        "SingleStream": (90, 1, 64),
        "MultiStream": (99, 8, 662),
        "Server": (99, 1, 459),
        "Offline": (None, 1, 24_576),
    }
    assert {rules.minimum_seconds for rules in SCENARIOS.values()} == {600}


def test_single_stream_reports_its_estimate(histogram: MakeHistogram) -> None:
    found = judge(SCENARIOS["SingleStream"], Observed(LONG, 0, histogram([MS] * 63 + [2 * MS])))

    assert (found.verdict, found.unit, found.reasons) == ("VALID", "ns", ())
    assert found.value == pytest.approx(2 * MS, rel=0.001)


def test_multi_stream_with_too_few_queries_reports_nothing(histogram: MakeHistogram) -> None:
    found = judge(SCENARIOS["MultiStream"], Observed(LONG, 0, histogram([MS] * 661)))

    assert (found.verdict, found.value) == ("INVALID", None)
    assert found.reasons == ("661 queries were sent, at least 662 are needed",)
    assert found.recommendations == ("Send at least 662 queries.",)


def test_every_reason_is_told(histogram: MakeHistogram) -> None:
    found = judge(SCENARIOS["SingleStream"], Observed(599.9, 1, histogram([MS] * 10)))

    assert found.reasons == (
        "the run took 599.9 s, at least 600 s are needed",
        "11 queries were sent, at least 64 are needed",
        "1 queries failed",
    )
    assert len(found.recommendations) == 3
    short = replace(SCENARIOS["SingleStream"], minimum_seconds=10, minimum_queries=0)
    assert judge(short, Observed(10, 0, histogram([MS] * 64))).verdict == "VALID"


def test_server_reports_the_rate_under_its_target(histogram: MakeHistogram) -> None:
    found = judge(SCENARIOS["Server"], Observed(LONG, 0, histogram([MS] * 459), rate=77.5))

    assert (found.verdict, found.value, found.unit) == ("VALID", 77.5, "queries/s")


def test_server_that_misses_its_target(histogram: MakeHistogram) -> None:
    found = judge(SCENARIOS["Server"], Observed(LONG, 0, histogram([MS] * 950 + [30 * MS] * 50)))

    assert found.verdict == "INVALID"
    assert found.reasons == ("p99 <= 10 ms is not met: 50 of 1,000 queries are over the target",)
    assert found.recommendations == ("Reduce the rate.",)


def test_server_that_proves_too_little(histogram: MakeHistogram) -> None:
    found = judge(SCENARIOS["Server"], Observed(LONG, 0, histogram([MS] * 499 + [30 * MS])))

    assert found.recommendations == ("Send at least 162 queries more.",)


def test_a_failed_query_is_over_the_target_of_server(histogram: MakeHistogram) -> None:
    assert judge(SCENARIOS["Server"], Observed(LONG, 1, histogram([MS] * 661))).verdict == "VALID"
    assert judge(SCENARIOS["Server"], Observed(LONG, 50, histogram([MS] * 950))).verdict == "INVALID"


def test_offline_reports_samples_per_second(histogram: MakeHistogram) -> None:
    found = judge(SCENARIOS["Offline"], Observed(800, 0, histogram([MS] * 24_576)))

    assert (found.verdict, found.value, found.unit) == ("VALID", 24_576 / 800, "samples/s")
    few = judge(SCENARIOS["Offline"], Observed(800, 0, histogram([MS])))
    assert few.reasons == ("1 samples were sent, at least 24,576 are needed",)


def test_server_without_a_target_is_a_mistake_of_the_caller(histogram: MakeHistogram) -> None:
    with pytest.raises(ValueError, match="target"):
        judge(replace(SCENARIOS["Server"], target_ns=None), Observed(LONG, 0, histogram([MS])))
