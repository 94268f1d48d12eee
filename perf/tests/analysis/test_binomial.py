from math import comb

import pytest
from infermesh_perf.analysis.binomial import overruns_allowed, requests_needed, share_above, upper_bound


def at_most(over: int, requests: int, share: float) -> float:
    return sum(comb(requests, k) * share**k * (1 - share) ** (requests - k) for k in range(over + 1))


@pytest.mark.parametrize(
    ("percentile", "over", "needed"),
    # What MLPerf's LoadGen asks for: p99 without overruns, and one overrun for p90 and p99.
    [(99, 0, 459), (90, 1, 64), (99, 1, 662)],
)
def test_published_numbers(percentile: float, over: int, needed: int) -> None:
    assert requests_needed(share_above(percentile), 0.99, over) == needed


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("over", [0, 1, 7, 40])
def test_one_request_less_does_not_prove_it(share: float, over: int) -> None:
    needed = requests_needed(share, 0.95, over)

    assert at_most(over, needed, share) <= 0.05 * (1 + 1e-9)
    assert needed - 1 == over or at_most(over, needed - 1, share) > 0.05


@pytest.mark.parametrize("requests", [1, 458, 459, 662, 5000])
def test_one_overrun_more_does_not_prove_it(requests: int) -> None:
    allowed = overruns_allowed(requests, 0.01, 0.99)

    if allowed is None:
        assert requests < 459
    else:
        assert at_most(allowed, requests, 0.01) <= 0.01
        assert at_most(allowed + 1, requests, 0.01) > 0.01


def test_the_bound_is_the_same_proof() -> None:
    assert upper_bound(459, 0, 0.99) <= 0.01 < upper_bound(458, 0, 0.99)
    assert upper_bound(661, 1, 0.99) > 0.01 >= upper_bound(662, 1, 0.99)
    assert upper_bound(0, 0, 0.99) == upper_bound(5, 5, 0.99) == 1


def test_share_above_is_not_off_by_rounding() -> None:
    assert [share_above(p) for p in (50, 99, 99.9, 99.99)] == [0.5, 0.01, 0.001, 0.0001]
