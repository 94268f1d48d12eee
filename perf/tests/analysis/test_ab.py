from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from infermesh_perf.analysis.ab import overall, ratio
from infermesh_perf.analysis.figures import FIGURES, compare, rounds
from infermesh_perf.analysis.rounds import order, rounds_needed
from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.results.document import Level, Load, Ratio, Run, TargetSummary

MakeLevel = Callable[..., Level]
MS = 1_000_000


def test_order_is_abba() -> None:
    assert "".join(order(4)) == "ABBAABBA"
    assert "".join(order(3)) == "ABBAAB"
    with pytest.raises(SetupError, match="at least 1, and 6"):
        order(0)


@pytest.mark.parametrize(("confidence", "needed"), [(0.5, 2), (0.75, 3), (0.9, 5), (0.95, 6), (0.99, 8)])
def test_rounds_needed(confidence: float, needed: int) -> None:
    assert rounds_needed(confidence) == needed


A = [100.0, 120, 90, 105, 98, 110, 101, 99]


@pytest.mark.parametrize("paired", [True, False])
def test_twice_as_much(paired: bool) -> None:
    found = ratio("throughput", A, [2 * a for a in A], higher_is_better=True, paired=paired)

    assert found.ratio == pytest.approx(2)
    assert found.low <= 2 <= found.high
    assert found.verdict == "better"
    assert found.p_value < 0.05
    assert ratio("p99", A, [2 * a for a in A], higher_is_better=False, paired=paired).verdict == "worse"
    assert ratio("p99", [2 * a for a in A], A, higher_is_better=False, paired=paired).verdict == "better"


def test_pairs_see_through_a_drift_that_hides_the_difference() -> None:
    random = np.random.default_rng(5)
    drift = np.linspace(1, 3, 10)
    a, b = drift * random.normal(100, 0.5, 10), drift * random.normal(110, 0.5, 10)

    assert ratio("throughput", a.tolist(), b.tolist(), higher_is_better=True).verdict == "better"
    alone = ratio("throughput", a.tolist(), b.tolist(), higher_is_better=True, paired=False)
    assert alone.verdict == "unclear"


def test_same_lies_within_the_minimum_effect() -> None:
    b = [a * factor for a, factor in zip(A, (1.001, 0.999, 1.002, 0.998) * 2, strict=True)]

    assert ratio("p50", A, b, higher_is_better=False, minimum_effect=0.02).verdict == "same"
    assert ratio("p50", A, b, higher_is_better=False, minimum_effect=0.0).verdict == "unclear"
    assert ratio("p50", A, A, higher_is_better=False).verdict == "same"


def test_a_certain_and_tiny_difference_is_no_verdict() -> None:
    b = [a * factor for a, factor in zip(A, (1.019, 1.021, 1.018, 1.025) * 2, strict=True)]

    found = ratio("p50", A, b, higher_is_better=False, minimum_effect=0.022)
    assert found.low > 1
    assert found.p_value < 0.05
    assert found.verdict in ("same", "unclear")


@pytest.mark.parametrize("few", [1, 2, 5])
def test_too_few_rounds_decide_nothing(few: int) -> None:
    found = ratio("p99", A[:few], [9 * a for a in A[:few]], higher_is_better=False)

    assert found.ratio == pytest.approx(9)
    assert found.verdict == "unclear"


def test_six_rounds_that_all_agree_decide() -> None:
    found = ratio("p99", A[:6], [9 * a for a in A[:6]], higher_is_better=False)

    assert (found.verdict, found.p_value) == ("worse", 2 / 2**6)


def test_a_baseline_may_have_another_number_of_rounds() -> None:
    slow = [a * 1.5 for a in A[:6]]

    assert ratio("p99", A, slow, higher_is_better=False, paired=False).verdict == "worse"
    with pytest.raises(RunError, match="8 rounds of A and 6 of B"):
        ratio("p99", A, slow, higher_is_better=False)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_figures_without_a_ratio(wrong: float) -> None:
    with pytest.raises(RunError, match=r"p99: found .*expected figures above 0"):
        ratio("p99", [*A[:7], wrong], A, higher_is_better=False)


def test_a_side_without_rounds() -> None:
    with pytest.raises(RunError, match="at least one"):
        ratio("p99", [], [], higher_is_better=False)


def test_the_seed_decides_the_interval() -> None:
    random = np.random.default_rng(2)
    a, b = random.normal(100, 10, 9).tolist(), random.normal(100, 10, 9).tolist()

    def found(seed: int) -> Ratio:
        return ratio("p99", a, b, higher_is_better=False, seed=seed)

    assert found(1) == found(1)


@pytest.mark.parametrize("paired", [True, False])
def test_alike_sides_are_hardly_ever_told_apart(paired: bool) -> None:
    random = np.random.default_rng(11)
    wrong = 0
    for _ in range(100):
        a, b = random.lognormal(0, 0.1, (2, 8)).tolist()
        wrong += ratio("p99", a, b, higher_is_better=False, paired=paired).verdict in ("better", "worse")

    # 5 % of 100; more than 12 by chance once in a thousand times.
    assert wrong <= 12


def test_a_clear_difference_is_found() -> None:
    random = np.random.default_rng(13)
    found = 0
    for _ in range(40):
        a, b = random.lognormal(0, 0.02, (2, 8))
        found += ratio("p99", a.tolist(), (1.1 * b).tolist(), higher_is_better=False).verdict == "worse"

    assert found >= 36


@pytest.mark.parametrize(
    ("verdicts", "all_together"),
    [
        (["better", "same", "worse"], "worse"),
        (["better", "unclear"], "unclear"),
        (["better", "same"], "better"),
        (["same", "same"], "same"),
        ([], "unclear"),
    ],
)
def test_overall(verdicts: list[str], all_together: str) -> None:
    one = ratio("p99", A, A, higher_is_better=False)

    assert overall([one.model_copy(update={"verdict": verdict}) for verdict in verdicts]) == all_together


def test_compares_levels_by_their_figures(level: MakeLevel) -> None:
    a = [level([MS + 1000 * step] * 200, throughput=100 + step) for step in range(6)]
    b = [level([2 * MS + 1000 * step] * 200, throughput=100 + step) for step in range(6)]

    ratios = compare(a, b, list(FIGURES))

    assert [found.name for found in ratios] == ["throughput", "mean", "p50", "p90", "p95", "p99", "p99.9"]
    assert [found.verdict for found in ratios] == ["same"] + ["worse"] * 6
    assert ratios[0].a == [100, 101, 102, 103, 104, 105]
    with pytest.raises(SetupError, match="'p98', expected one of throughput"):
        compare(a, b, ["p98"])


def test_rounds_are_the_levels_of_one_load(level: MakeLevel) -> None:
    low, high = Load(mode="concurrency", value=1), Load(mode="concurrency", value=16)

    def run(*loads: Load) -> Run:
        return Run(
            kind="run",
            command=[],
            started=datetime.now(UTC),
            seconds=1,
            environment={},
            target=TargetSummary(url="localhost:8001", protocol="grpc", tls=False),
            workloads=[],
            levels=[level([MS], load=load) for load in loads],
        )

    found = rounds([run(low, high), run(low), run(low)])

    assert {load: len(levels) for load, levels in found.items()} == {"concurrency 1": 3, "concurrency 16": 1}
