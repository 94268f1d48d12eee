import pytest
from infermesh_perf.bench.compare import Spread, interleave, ratios


def test_every_round_gives_everyone_a_turn() -> None:
    assert list(interleave(2, ["a", "b"])) == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]


def test_ratios_are_taken_within_a_round() -> None:
    # The machine was half as fast in the second round, and the ratio did not move.
    assert ratios([200, 100], [100, 50]) == [2, 2]


def test_spread_holds_median_lowest_and_highest() -> None:
    assert Spread.of([3, 1, 2, 10]) == Spread(median=2.5, low=1, high=10)


def test_no_rounds_have_no_spread() -> None:
    with pytest.raises(ValueError, match="no rounds"):
        Spread.of([])


def test_rounds_must_pair_up() -> None:
    with pytest.raises(ValueError, match="longer"):
        ratios([1, 2], [1, 2, 3])


def test_a_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="means nothing"):
        ratios([1], [0])
