from dataclasses import replace

import pytest
from infermesh_perf.analysis.measured import Measured
from infermesh_perf.analysis.verdict import checks, saturated
from infermesh_perf.results.document import Check

MS = 1_000_000
GOOD = Measured(
    completed=10_000,
    failed=3,
    lateness_p99_ns=200_000,
    latency_p50_ns=2 * MS,
    client_cpu=0.4,
    connections_lost=0,
    throughput=995,
    wanted_rate=1000,
    sent_rate=998,
    outstanding=12,
    max_outstanding=1000,
    percentile=99,
    stable=True,
    ceiling=5000,
)


def failed(measured: Measured) -> list[Check]:
    return [check for check in checks(measured) if not check.passed]


def test_a_good_level_passes_every_rule_and_needs_no_advice() -> None:
    found = checks(GOOD)

    assert [check.name for check in found] == [
        "good answers",
        "connections lost",
        "client lateness p99",
        "client CPU",
        "rate achieved",
        "client ceiling",
        "requests for p99",
        "stability",
    ]
    assert all(check.passed and not check.advice for check in found)


def test_rules_that_do_not_apply_are_left_out() -> None:
    closed = replace(GOOD, wanted_rate=None, percentile=None, stable=None, ceiling=None)

    assert len(checks(closed)) == 4


@pytest.mark.parametrize(
    ("change", "name", "found", "limit"),
    [
        ({"completed": 0, "percentile": None}, "good answers", "0 of 3 requests", "at least 1"),
        ({"connections_lost": 2}, "connections lost", "2", "none"),
        ({"lateness_p99_ns": 1_100_000}, "client lateness p99", "1.1 ms", "at most 1 ms"),
        ({"client_cpu": 0.95}, "client CPU", "95 % of its threads", "at most 90 %"),
        ({"sent_rate": 900}, "rate achieved", "900/s of 1,000/s", "at least 99 %"),
        (
            {"ceiling": 1200},
            "client ceiling",
            "995/s of 1,200/s that this client reaches at most",
            "at most 80 %",
        ),
        ({"completed": 458}, "requests for p99", "458", "at least 459"),
        ({"stable": False}, "stability", "the last windows differ too much", "windows agree"),
    ],
)
def test_each_rule(change: dict[str, float], name: str, found: str, limit: str) -> None:
    (check,) = failed(replace(GOOD, **change))  # type: ignore[arg-type]

    assert check.name == name
    assert check.found == found
    assert check.limit.startswith(limit)
    assert check.advice.endswith(".")


def test_lateness_may_be_a_tenth_of_a_long_latency() -> None:
    slow = replace(GOOD, latency_p50_ns=50 * MS, lateness_p99_ns=5 * MS)

    assert not failed(slow)
    assert [check.limit for check in failed(replace(slow, lateness_p99_ns=5_100_000))] == ["at most 5 ms"]


def test_requests_that_a_full_server_holds_back_are_not_the_clients_fault() -> None:
    full = replace(GOOD, sent_rate=700, throughput=700, outstanding=1000)

    assert saturated(full)
    assert not failed(full)
    (rate,) = [check for check in checks(full) if check.name == "rate achieved"]
    assert rate.found == (
        "700/s of 1,000/s: the server is saturated, all 1,000 requests allowed were under way"
    )


def test_a_slow_client_is_no_saturated_server() -> None:
    assert not saturated(replace(GOOD, sent_rate=700, outstanding=999))
    assert not saturated(replace(GOOD, sent_rate=700, outstanding=0, max_outstanding=0))
    assert not saturated(replace(GOOD, sent_rate=998, outstanding=1000))
    assert not saturated(replace(GOOD, wanted_rate=None, outstanding=1000))
