"""The rules of a valid measurement: whether the figures of one level say something about the server."""

from __future__ import annotations

from infermesh_perf.analysis import text as texts
from infermesh_perf.analysis.binomial import requests_needed, share_above
from infermesh_perf.analysis.measured import Measured
from infermesh_perf.results.document import Check

#: What the scheduler of a busy machine adds to the best timer. Less cannot be asked of a client.
LATENESS_NS = 1_000_000
#: Of the median latency: lateness is part of the latency, and so much of it does not change the picture.
LATENESS_SHARE = 0.1
#: Above it a thread has no time left for what comes unevenly.
CPU = 0.9
ACHIEVED = 0.99
#: Of what the client reaches where the server costs nothing. Nearer to it, the two limits cannot be told
#: apart.
CEILING = 0.8


def saturated(measured: Measured) -> bool:
    """Whether requests were held back because as many as allowed were under way: the server's doing."""
    full = 0 < measured.max_outstanding <= measured.outstanding
    return full and measured.wanted_rate is not None and measured.sent_rate < ACHIEVED * measured.wanted_rate


def checks(measured: Measured) -> list[Check]:
    """Every rule that applies, whether it passed or not.

    A saturated server is a result and no fault of the client, so it passes.
    """
    found = [_answers(measured), _connections(measured), _lateness(measured), _cpu(measured)]
    found += [] if measured.wanted_rate is None else [_achieved(measured, measured.wanted_rate)]
    found += [] if measured.ceiling is None else [_ceiling(measured, measured.ceiling)]
    found += [] if measured.percentile is None else [_requests(measured, measured.percentile)]
    found += [] if measured.stable is None else [_stability(measured.stable)]
    return found


def _check(name: str, passed: bool, found: str, limit: str, advice: str) -> Check:
    return Check(name=name, passed=passed, found=found, limit=limit, advice="" if passed else advice)


def _answers(measured: Measured) -> Check:
    return _check(
        "good answers",
        measured.completed > 0,
        f"{measured.completed:,} of {measured.completed + measured.failed:,} requests",
        "at least 1",
        "Look at the errors: the server is unreachable, or refuses what it is sent.",
    )


def _connections(measured: Measured) -> Check:
    return _check(
        "connections lost",
        measured.connections_lost == 0,
        f"{measured.connections_lost:,}",
        "none",
        "The server or something before it closed connections, or the network failed: look at the server's "
        "log, and at limits on the age and the number of connections.",
    )


def _lateness(measured: Measured) -> Check:
    limit = max(LATENESS_NS, LATENESS_SHARE * measured.latency_p50_ns)
    return _check(
        "client lateness p99",
        measured.lateness_p99_ns <= limit,
        texts.duration(measured.lateness_p99_ns),
        f"at most {texts.duration(limit)}",
        "The client sends late by itself, which counts as latency. Give it more threads or cores of its own, "
        "spread the load over more machines, or ask for less.",
    )


def _cpu(measured: Measured) -> Check:
    return _check(
        "client CPU",
        measured.client_cpu <= CPU,
        f"{texts.share(measured.client_cpu)} of its threads",
        f"at most {texts.share(CPU)}",
        "The client's threads are busy all the time, so its own limit may be what was measured. Give it more "
        "threads, or spread the load over more machines.",
    )


def _achieved(measured: Measured, wanted: float) -> Check:
    held = saturated(measured)
    found = f"{texts.rate(measured.sent_rate)} of {texts.rate(wanted)}"
    if held:
        found += (
            f": the server is saturated, all {measured.max_outstanding:,} requests allowed were under way"
        )
    return _check(
        "rate achieved",
        held or measured.sent_rate >= ACHIEVED * wanted,
        found,
        f"at least {texts.share(ACHIEVED)}",
        "The client did not send what was due although it was allowed to. Give it more "
        "threads or connections, spread the load over more machines, or ask for less.",
    )


def _ceiling(measured: Measured, ceiling: float) -> Check:
    return _check(
        "client ceiling",
        measured.throughput <= CEILING * ceiling,
        f"{texts.rate(measured.throughput)} of {texts.rate(ceiling)} that this client reaches at most",
        f"at most {texts.share(CEILING)}",
        "The server is nearly as fast as this client can be. Give the client more threads or cores, or "
        "spread the load over more machines.",
    )


def _requests(measured: Measured, percentile: float) -> Check:
    needed = requests_needed(share_above(percentile), measured.confidence)
    return _check(
        f"requests for p{percentile:g}",
        measured.completed >= needed,
        f"{measured.completed:,}",
        f"at least {needed:,}",
        "Measure longer, or name a lower percentile: so few requests do not tell what it is.",
    )


def _stability(stable: bool) -> Check:
    return _check(
        "stability",
        stable,
        "the last windows agree" if stable else "the last windows differ too much",
        "windows agree in throughput and latency",
        "Warm up or measure longer, see whether something else runs on either machine, or allow a larger "
        "difference.",
    )
