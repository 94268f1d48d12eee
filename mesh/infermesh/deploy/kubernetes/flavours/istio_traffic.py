"""Istio: how a workload is called, by the policies that mesh.yaml says of it."""

from collections.abc import Mapping, Set

from infermesh.deploy.kubernetes.durations import protobuf
from infermesh.deploy.kubernetes.flavours.instances import instances
from infermesh.deploy.kubernetes.flavours.not_kept import not_kept
from infermesh.deploy.kubernetes.flavours.retries import LOST, UNSENT, retried
from infermesh.deploy.kubernetes.objects import Object, made_for
from infermesh.deploy.weights import weights
from infermesh.description.workload import Workload
from infermesh.policies.endpoints import Breaker, Endpoints, Outlier, Pool
from infermesh.policies.requests import Policies, Retry

_API = "networking.istio.io/v1"

#: Of its duties: it pauses as it likes after the first pause, and leaves Pods alone by failures in a row.
_UNKNOWN: Mapping[str, Set[str]] = {
    "retry": {"backoff_max"},
    "breaker": {"min_success_rate", "min_requests", "backoff_base", "backoff_max"},
    "outlier": {"max_ejection", "success_rate_sigma"},
    "health_check": set(),
    "balance": set(),
}

#: Connections of one proxy to one Pod, if nothing is said of them.
_CONNECTIONS = 4

#: Requests of one proxy under way, if nothing is said of them.
_REQUESTS = 1024

#: Share of the Pods that may be left alone, if nothing is said of it.
_EJECTED = 0.5


def destination_rule(workload: Workload, policies: Policies, namespace: str, *, mutual: bool) -> Object:
    """Which Pod, over which connections, and which Pods are left alone."""
    endpoints = instances(policies) or Endpoints()
    most = _most(workload)
    traffic: Object = {
        "loadBalancer": {"simple": "LEAST_REQUEST"},
        "connectionPool": _connections(endpoints.pool, policies, most),
        "tls": {"mode": "ISTIO_MUTUAL" if mutual else "DISABLE"},
    }
    if policies.retry is not None and retried(policies.retry):
        traffic["retryBudget"] = {
            "percent": round(policies.retry.budget_ratio * 100, 3),
            "minRetryConcurrency": max(1, round(policies.retry.budget_reserve)),
        }
    # There is nobody to turn to from the only one.
    if most > 1 and (endpoints.breaker is not None or endpoints.outlier is not None):
        traffic["outlierDetection"] = _outliers(endpoints.breaker, endpoints.outlier, most)
    found = made_for(_API, "DestinationRule", workload.name, namespace)
    return {**found, "spec": {"host": workload.name, "trafficPolicy": traffic}}


def virtual_service(workload: Workload, policies: Policies, namespace: str) -> Object:
    """Who answers, how long it may take, and whether to try again."""
    annotations = not_kept(policies, _UNKNOWN)
    found = made_for(_API, "VirtualService", workload.name, namespace, annotations)
    route: Object = {"route": _destinations(workload)}
    if policies.timeout:
        route["timeout"] = protobuf(policies.timeout)
    route["retries"] = _retries(policies.retry)
    return {**found, "spec": {"hosts": [workload.name], "http": [route]}}


def _destinations(workload: Workload) -> list[Object]:
    if not (found := weights(workload)):
        return [{"destination": {"host": workload.name}}]
    return [{"destination": {"host": name}, "weight": weight} for name, weight in found.items()]


def lost_requests(workload: Workload, namespace: str) -> Object:
    """An app's own sidecar tries again; for callers that leaves what has not come as far as that.

    Said, since Istio would try again after answers of 503, too.
    """
    route: Object = {
        "route": [{"destination": {"host": workload.name}}],
        "retries": {"attempts": 2, "retryOn": ",".join(UNSENT)},
    }
    found = made_for(_API, "VirtualService", workload.name, namespace)
    return {**found, "spec": {"hosts": [workload.name], "http": [route]}}


def _retries(retry: Retry | None) -> Object:
    codes = retried(retry)
    if retry is None or not codes:
        # Said as well: Istio tries again unless it is told not to.
        return {"attempts": 0}
    tries = {} if retry.per_try_timeout is None else {"perTryTimeout": protobuf(retry.per_try_timeout)}
    return {
        # Those after the first.
        "attempts": retry.max_attempts - 1,
        **tries,
        "retryOn": ",".join([*codes, *LOST]),
        "backoff": protobuf(retry.backoff_base),
    }


def _connections(pool: Pool, policies: Policies, most: int) -> Object:
    concurrency = policies.concurrency
    at_once = (concurrency.limit or concurrency.max) if concurrency is not None else None
    return {
        "tcp": {
            "maxConnections": (pool.max_connections or _CONNECTIONS) * most,
            "connectTimeout": protobuf(pool.connect_timeout),
            # Connections of HTTP/2 live long, and new Pods are to get their part.
            "maxConnectionDuration": protobuf(pool.max_age),
        },
        "http": {
            "http1MaxPendingRequests": pool.max_pending,
            "http2MaxRequests": at_once or _REQUESTS,
            "idleTimeout": protobuf(pool.idle_timeout),
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
        "interval": protobuf(watch.interval),
        "baseEjectionTime": protobuf(watch.base_ejection),
        "maxEjectionPercent": -(-100 * ejected // most),
    }


def _most(workload: Workload) -> int:
    """Pods that there may be."""
    scaled = workload.placement.autoscale
    return scaled.max if scaled is not None else workload.placement.replicas
