import pytest
from infermesh_perf.hops.breakdown import hops
from infermesh_perf.hops.server_times import ServerTimes
from infermesh_perf.results.document import Hop

SERVER = ServerTimes(
    "ModelStatistics", 10, total_ns=600, queue_ns=100, input_ns=50, compute_ns=300, output_ns=50
)


def _by_name(found: list[Hop]) -> dict[str, float]:
    return {hop.name: hop.mean_ns for hop in found}


def test_hops_add_up_to_what_the_client_saw() -> None:
    found = hops(40, 1000, SERVER, sidecar_mean_ns=150)
    assert _by_name(found) == {
        "client lag": 40,
        "network": 250,
        "sidecar": 150,
        "queue": 100,
        "input": 50,
        "compute": 300,
        "output": 50,
        "server": 100,
    }
    assert {hop.name: hop.source for hop in found} == {
        "client lag": "client",
        "network": "client less ModelStatistics",
        "sidecar": "Prometheus",
        **dict.fromkeys(("queue", "input", "compute", "output", "server"), "ModelStatistics"),
    }


@pytest.mark.parametrize(
    ("service", "sidecar", "expected"),
    [
        # The server claims more than the client saw, whose sidecar then has nothing left.
        (300, 100, {"network": 0, "sidecar": 0, "queue": 60, "compute": 180, "server": 0}),
        # The sidecar claims more than is left.
        (700, 500, {"network": 0, "sidecar": 100, "queue": 100, "compute": 300, "server": 100}),
        (700, -5, {"network": 100, "sidecar": 0, "queue": 100, "compute": 300, "server": 100}),
    ],
)
def test_no_account_exceeds_what_the_client_saw(
    service: float, sidecar: float, expected: dict[str, float]
) -> None:
    found = _by_name(hops(0, service, SERVER, sidecar_mean_ns=sidecar))
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert sum(found.values()) == pytest.approx(service)
    assert min(found.values()) >= 0


def test_stages_that_ran_beside_each_other_are_made_smaller() -> None:
    server = ServerTimes("traces", 1, total_ns=100, queue_ns=0, input_ns=50, compute_ns=150, output_ns=0)
    found = _by_name(hops(0, 100, None, traced=server))
    assert (found["input"], found["compute"], found["server"]) == (25, 75, 0)


def test_statistics_come_before_traces() -> None:
    traced = ServerTimes("traces", 1, total_ns=1, queue_ns=0, input_ns=0, compute_ns=1, output_ns=0)
    assert hops(0, 1000, SERVER, traced=traced) == hops(0, 1000, SERVER)


def test_an_unknown_server_is_not_called_network() -> None:
    found = hops(5, 100, None, sidecar_mean_ns=30, sidecar_source="traces")
    assert [(hop.name, hop.mean_ns, hop.source) for hop in found] == [
        ("client lag", 5, "client"),
        ("sidecar", 30, "traces"),
        ("server", 70, "client, with the network"),
    ]


def test_nothing_was_measured() -> None:
    assert set(_by_name(hops(0, 0, SERVER, 10)).values()) == {0}
