"""Istio: how a workload is called, by the policies that mesh.yaml says of it."""

from datetime import timedelta

from infermesh.deploy.kubernetes.objects import Object, labels, made
from infermesh.description.read import Description
from infermesh.description.workload import Workload
from infermesh.policies.endpoints import Breaker, Endpoints, Outlier, Pool
from infermesh.policies.requests import Policies, Retry

_API = "networking.istio.io/v1"

#: gRPC codes that Envoy tries again on.
_CODES = {
    "CANCELLED": "cancelled",
    "DEADLINE_EXCEEDED": "deadline-exceeded",
    "INTERNAL": "internal",
    "RESOURCE_EXHAUSTED": "resource-exhausted",
    "UNAVAILABLE": "unavailable",
}

#: Connections of one proxy to one Pod, if nothing is said of them.
_CONNECTIONS = 4

#: Requests of one proxy under way, if nothing is said of them.
_REQUESTS = 1024

#: Share of the Pods that may be left alone, if nothing is said of it.
_EJECTED = 0.5


def destination_rule(workload: Workload, policies: Policies, namespace: str, *, mutual: bool) -> Object:
    """Which Pod, over which connections, and which Pods are left alone."""
    endpoints = policies if isinstance(policies, Endpoints) else Endpoints()
    most = _most(workload)
    traffic: Object = {
        "loadBalancer": {"simple": "LEAST_REQUEST"},
        "connectionPool": _connections(endpoints.pool, policies, most),
        "tls": {"mode": "ISTIO_MUTUAL" if mutual else "DISABLE"},
    }
    if policies.retry is not None:
        traffic["retryBudget"] = {
            "percent": round(policies.retry.budget_ratio * 100, 3),
            "minRetryConcurrency": max(1, round(policies.retry.budget_reserve)),
        }
    # There is nobody to turn to from the only one.
    if most > 1 and (endpoints.breaker is not None or endpoints.outlier is not None):
        traffic["outlierDetection"] = _outliers(endpoints.breaker, endpoints.outlier, most)
    found = made(_API, "DestinationRule", workload.name, namespace, {"labels": labels(workload.name)})
    return {**found, "spec": {"host": workload.name, "trafficPolicy": traffic}}


def virtual_service(
    workload: Workload, policies: Policies, description: Description, namespace: str
) -> Object:
    """How long it may take, and whether to try again.

    Raises ConfigurationError for a code that Envoy does not try again on.
    """
    found = made(_API, "VirtualService", workload.name, namespace, {"labels": labels(workload.name)})
    route: Object = {"route": [{"destination": {"host": workload.name}}]}
    if policies.timeout:
        route["timeout"] = _seconds(policies.timeout)
    # Said as well where it is off: Istio tries again unless it is told not to.
    route["retries"] = (
        {"attempts": 0} if policies.retry is None else _retries(policies.retry, workload, description)
    )
    return {**found, "spec": {"hosts": [workload.name], "http": [route]}}


def _retries(retry: Retry, workload: Workload, description: Description) -> Object:
    unknown = [code for code in retry.codes if code not in _CODES]
    if unknown:
        text = f"found {', '.join(unknown)} in retry.codes, expected those Istio has: {', '.join(_CODES)}"
        raise description.mistake(workload.name, text)
    tries = {} if retry.per_try_timeout is None else {"perTryTimeout": _seconds(retry.per_try_timeout)}
    return {
        # Those after the first.
        "attempts": retry.max_attempts - 1,
        **tries,
        "retryOn": ",".join([*(_CODES[code] for code in retry.codes), "refused-stream"]),
        "backoff": _seconds(retry.backoff_base),
    }


def _connections(pool: Pool, policies: Policies, most: int) -> Object:
    concurrency = policies.concurrency
    at_once = (concurrency.limit or concurrency.max) if concurrency is not None else None
    return {
        "tcp": {
            "maxConnections": (pool.max_connections or _CONNECTIONS) * most,
            "connectTimeout": _seconds(pool.connect_timeout),
            # Connections of HTTP/2 live long, and new Pods are to get their part.
            "maxConnectionDuration": _seconds(pool.max_age),
        },
        "http": {
            "http1MaxPendingRequests": pool.max_pending,
            "http2MaxRequests": at_once or _REQUESTS,
            "idleTimeout": _seconds(pool.idle_timeout),
        },
    }


def _outliers(breaker: Breaker | None, outlier: Outlier | None, most: int) -> Object:
    watch = outlier or Outlier()
    failures = breaker.consecutive_failures if breaker is not None else watch.consecutive_failures
    share = watch.max_ejected if outlier is not None else _EJECTED
    # Of few, a share may come to none of them; and never to all.
    ejected = min(max(1, int(most * share)), most - 1)
    return {
        "consecutive5xxErrors": failures,
        "consecutiveGatewayErrors": failures,
        "interval": _seconds(watch.interval),
        "baseEjectionTime": _seconds(watch.base_ejection),
        "maxEjectionPercent": -(-100 * ejected // most),
    }


def _most(workload: Workload) -> int:
    """Pods that there may be."""
    scaled = workload.placement.autoscale
    return scaled.max if scaled is not None else workload.placement.replicas


def _seconds(value: timedelta) -> str:
    """As a protobuf Duration is written."""
    return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
