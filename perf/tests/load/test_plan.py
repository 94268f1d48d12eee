"""What the generator is told for each kind of load."""

from collections.abc import Sequence

import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import LoadGenerator
from infermesh_perf.command.values import replayed
from infermesh_perf.load.division import delays, usable
from infermesh_perf.load.plan import Sending, plan, shares
from infermesh_perf.load.totals import SLOWEST
from infermesh_perf.results.document import Load
from support.scripted_engine import SECOND

TARGET = load_pb2.Target(address="localhost:1", protocol=load_pb2.PROTOCOL_GRPC)
WORKLOAD = load_pb2.Workload(
    name="m", path="/p", weight=1, scripts=[load_pb2.Script(payloads=[load_pb2.Payload(body=b"x")])]
)
GAPS = (10, 30, 20, 45)


def made(load: Load, sending: Sending | None = None, requests: int | None = None) -> load_pb2.LoadPlan:
    found = plan(TARGET, [WORKLOAD], load, sending or Sending(), requests)
    # The generator itself agrees.
    LoadGenerator(found.SerializeToString())
    return found


def rate(value: float, distribution: str = "poisson") -> Load:
    return Load.model_validate({"mode": "rate", "value": value, "distribution": distribution})


def test_a_closed_loop() -> None:
    assert made(Load(mode="concurrency", value=16)).closed.concurrency == 16


def test_rates() -> None:
    assert made(rate(0.5)).open.poisson == 0.5
    assert made(rate(2000, "constant")).open.constant == 2000


def test_recorded_intervals() -> None:
    found = made(replayed(GAPS), Sending(gaps_ns=GAPS))

    assert tuple(found.open.replay.gap_ns) == GAPS


def test_everything_else_is_passed_on() -> None:
    sending = Sending(3, 9, 0.25, 77, 5, 11, 0.125)

    found = made(rate(10), sending, 1000)

    assert (found.threads, found.connections, found.timeout_ns) == (3, 9, 250_000_000)
    assert (found.max_outstanding, found.seed, found.max_records) == (77, 5, 11)
    assert (found.trace_share, found.request_count, found.slowest) == (0.125, 1000, SLOWEST)
    assert made(rate(10)).request_count == 0


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize("load", [Load(mode="concurrency", value=17), rate(1000), rate(1000, "constant")])
def test_shares_are_the_whole_together(load: Load, workers: int) -> None:
    whole = made(load, Sending(connections=11, max_outstanding=64, seed=5), 1001)
    whole.workloads[0].sequences.CopyFrom(load_pb2.Sequences(first_id=1, ids=100, concurrent=9))

    parts = shares(whole, workers)

    def total(values: Sequence[float]) -> float:
        assert all(values), values
        return sum(values)

    if load.mode == "concurrency":
        assert total([part.closed.concurrency for part in parts]) == 17
    else:
        of = [getattr(part.open, load.distribution) for part in parts]
        assert total(of) == pytest.approx(1000)
        assert len(set(of)) == 1
    assert total([part.request_count for part in parts]) == 1001
    assert total([part.connections for part in parts]) == 11
    assert total([part.max_outstanding for part in parts]) == 64
    assert total([part.workloads[0].sequences.concurrent for part in parts]) == 9
    # Neither the same random choices nor the same sequences.
    assert len({part.seed for part in parts}) == workers
    ids = [
        number
        for part in parts
        for sequences in [part.workloads[0].sequences]
        for number in range(sequences.first_id, sequences.first_id + sequences.ids)
    ]
    assert len(ids) == len(set(ids))
    assert set(ids) <= set(range(1, 101))


def test_sequences_without_a_limit_have_room() -> None:
    whole = made(Load(mode="concurrency", value=4))
    whole.workloads[0].sequences.first_id = 7

    first, second = (part.workloads[0].sequences for part in shares(whole, 2))

    assert first.first_id == 7
    assert second.first_id == 7 + first.ids > 1 << 30


def test_a_choice_of_the_generators_stays_one() -> None:
    for part in shares(made(rate(10)), 3):
        assert (part.connections, part.max_outstanding, part.request_count) == (0, 0, 0)


def moments(gaps: Sequence[int], count: int) -> list[int]:
    """When requests are due, as the generator goes through a recording again and again."""
    found, now = [], 0
    for position in range(count):
        now += gaps[position % len(gaps)]
        found.append(now)
    return found


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("gaps", [GAPS, (1000,), (5, 0, 0)])
def test_recorded_moments_are_divided_in_turns(gaps: tuple[int, ...], workers: int) -> None:
    whole = made(replayed(gaps), Sending(gaps_ns=gaps))
    # Through the recording again and again.
    each = 500

    parts = zip(delays(whole, workers), shares(whole, workers), strict=True)

    together = sorted(
        delay + moment for delay, part in parts for moment in moments(part.open.replay.gap_ns, each)
    )
    # All of them later by as much, and else as recorded.
    shift = together[0] - gaps[0]
    assert 0 <= shift <= sum(gaps) * workers
    assert together == [shift + moment for moment in moments(gaps, each * workers)]


def test_intervals_that_are_too_long_for_turns() -> None:
    whole = made(replayed((20 * SECOND, SECOND)), Sending(gaps_ns=(20 * SECOND, SECOND)))

    count, reason = usable(whole, 16)

    assert (count, reason) == (4, "the recorded intervals are too long for more to take turns")
