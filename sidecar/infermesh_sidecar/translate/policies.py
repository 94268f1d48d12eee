"""Policies of a route."""

from collections.abc import Callable
from typing import Any, get_args

from infermesh.policies.requests import (
    Admission,
    Cache,
    CaptureRule,
    Coalesce,
    Concurrency,
    GrpcCode,
    Hedge,
    RateLimit,
    Retry,
)
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb

from infermesh_sidecar.translate.units import nanoseconds

#: OK is 0, and none of these.
_CODES: dict[str, int] = {name: code for code, name in enumerate(get_args(GrpcCode), 1)}

_KEYS = {"all": pb.RATE_KEY_UNSPECIFIED, "caller": pb.RATE_KEY_CALLER, "header": pb.RATE_KEY_HEADER}


def _retry(given: Retry) -> pb.Retry:
    return pb.Retry(
        max_attempts=given.max_attempts,
        codes=[_CODES[code] for code in given.codes],
        http_statuses=given.http_statuses,
        per_try_timeout_ns=nanoseconds(given.per_try_timeout),
        backoff_base_ns=nanoseconds(given.backoff_base),
        backoff_max_ns=nanoseconds(given.backoff_max),
        budget_ratio=given.budget_ratio,
        budget_reserve=given.budget_reserve,
    )


def _hedge(given: Hedge) -> pb.Hedge:
    return pb.Hedge(
        delay_ns=nanoseconds(given.delay), quantile=given.quantile or 0, budget_ratio=given.budget_ratio
    )


def _rate_limit(given: RateLimit) -> pb.RateLimit:
    return pb.RateLimit(
        rate=given.rate, burst=given.burst or 0, key=_KEYS[given.key], header=given.header or ""
    )


def _concurrency(given: Concurrency) -> pb.Concurrency:
    return pb.Concurrency(
        limit=given.limit or 0,
        min=given.min or 0,
        max=given.max or 0,
        queue=given.queue,
        queue_timeout_ns=nanoseconds(given.queue_timeout),
        priority_header=given.priority_header,
    )


def _admission(given: Admission) -> pb.Admission:
    return pb.Admission(
        min_success_rate=given.min_success_rate,
        aggression=given.aggression,
        window_ns=nanoseconds(given.window),
        max_refused=given.max_refused,
        min_requests=given.min_requests,
    )


def _coalesce(given: Coalesce) -> pb.Coalesce:
    return pb.Coalesce(
        max_rows=given.max_rows or 0, max_delay_ns=nanoseconds(given.max_delay), models=given.models
    )


def _cache(given: Cache) -> pb.Cache:
    return pb.Cache(max_bytes=given.max_bytes, ttl_ns=nanoseconds(given.ttl), models=given.models)


def _capture(given: CaptureRule) -> pb.Capture:
    return pb.Capture(sample_rate=given.sample, max_body_bytes=given.max_body, queue_bytes=given.queue)


_TRANSLATED: dict[str, Callable[[Any], Any]] = {
    "retry": _retry,
    "hedge": _hedge,
    "rate_limit": _rate_limit,
    "concurrency": _concurrency,
    "admission": _admission,
    "coalesce": _coalesce,
    "cache": _cache,
    "capture": _capture,
}


def add_policies(route: pb.Route, policy: Callable[[str], Any]) -> None:
    """Put into a route what ``policy`` knows by name; the fields of both have the same names."""
    for name, translated in _TRANSLATED.items():
        if (given := policy(name)) is not None:
            getattr(route, name).CopyFrom(translated(given))
