"""Edges, of what sidecars tell: from callers to their apps, and from apps to whom they call."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from infermesh.overview.increases import STARTED, Grown
from infermesh.overview.traffic import Part, sum_of
from infermesh.overview.view import Breaker, Endpoint

_REQUESTS = "infermesh_proxy_requests_total"
_REQUEST_DURATION = "infermesh_proxy_request_duration_seconds"
_ATTEMPTS = "infermesh_proxy_attempts_total"
_ATTEMPT_DURATION = "infermesh_proxy_attempt_duration_seconds"
_RETRIES = "infermesh_proxy_retries_total"

#: What is read of a sidecar's metrics.
NAMES = frozenset(
    {_REQUESTS, f"{_REQUEST_DURATION}_bucket", _ATTEMPTS, f"{_ATTEMPT_DURATION}_bucket", _RETRIES, STARTED}
)

INBOUND = "inbound"

#: Ends of requests that who was asked is to blame for, as the metrics name them.
_FAILED = frozenset({"UNKNOWN", "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "DATA_LOSS", "5xx", "broken"})
#: Ends of attempts that the endpoint is not to blame for.
_NOT_FAILED = frozenset({"success", "rejected", "given_up"})

_STATES: Mapping[str, Breaker] = {"closed": "closed", "half_open": "half_open", "open": "open"}


@dataclass(frozen=True)
class EndpointSeen:
    """One that a sidecar may ask."""

    cluster: str
    address: str
    is_available: bool
    problem: str | None
    breaker: Breaker | None
    in_flight: int

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As `/stats` tells it. Raises KeyError, TypeError or ValueError for anything else."""
        breaker = told["breaker"]
        return cls(
            cluster=str(told["cluster"]),
            address=str(told["endpoint"]),
            is_available=bool(told["available"]),
            problem=told["unavailable_because"],
            breaker=None if breaker is None else _STATES[breaker["state"]],
            in_flight=int(told["requests_in_flight"]),
        )

    def by(self, instance: str) -> Endpoint:
        """As this instance sees it."""
        return Endpoint(instance, self.address, self.is_available, self.problem, self.breaker, self.in_flight)


@dataclass(frozen=True)
class RouteSeen:
    """One of a sidecar's routes, and where it leads."""

    listener: str
    route: str
    cluster: str | None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As `/stats` tells it. Raises KeyError or TypeError for anything else."""
        return cls(str(told["listener"]), str(told["route"]), told["cluster"])


def inbound(grown: Grown) -> Part:
    """What came to an app."""
    ends = list(grown.matching(_REQUESTS, {"listener": INBOUND}))
    return Part(
        grown,
        requests=sum(count for _, count in ends),
        failures=sum(count for labels, count in ends if labels["code"] in _FAILED),
        durations=grown.histogram(_REQUEST_DURATION, listener=INBOUND),
    )


def outbound(grown: Grown, called: str) -> Part:
    """Attempts at a workload; those of questions about an app's requests are among them."""
    ends = list(grown.matching(_ATTEMPTS, {"cluster": called}))
    return Part(
        grown,
        requests=sum(count for _, count in ends),
        failures=sum(count for labels, count in ends if labels["outcome"] not in _NOT_FAILED),
        durations=grown.histogram(_ATTEMPT_DURATION, cluster=called),
    )


def retries(told: Sequence[tuple[Grown, Sequence[RouteSeen]]], is_of: Mapping[str, str]) -> float | None:
    """Per second, over routes that have these fields."""
    return sum_of([grown.rate(sum(_retries_of(grown, routes, is_of))) for grown, routes in told])


def _retries_of(grown: Grown, routes: Sequence[RouteSeen], is_of: Mapping[str, str]) -> Iterator[float]:
    for route in routes:
        if all(getattr(route, field) == value for field, value in is_of.items()):
            yield grown.total(_RETRIES, listener=route.listener, route=route.route)


def worst(endpoints: Sequence[Endpoint]) -> Breaker | None:
    """The worst state of their breakers."""
    order = list(_STATES.values())
    found = [endpoint.breaker for endpoint in endpoints if endpoint.breaker is not None]
    return max(found, key=order.index, default=None)
