"""Consul: how services are spoken to, and who may call whom; Pods by transparent proxy.

Its cluster-wide singletons (`Mesh`, `ProxyDefaults`) are left to whoever runs the cluster.
"""

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from infermesh.deploy.callers import entrance
from infermesh.deploy.kubernetes.durations import milliseconds, short
from infermesh.deploy.kubernetes.flavours.consul_access import intentions
from infermesh.deploy.kubernetes.flavours.instances import instances
from infermesh.deploy.kubernetes.flavours.not_kept import not_kept
from infermesh.deploy.kubernetes.flavours.retries import LOST, UNSENT, retried
from infermesh.deploy.kubernetes.objects import Object, made_for
from infermesh.deploy.kubernetes.unplaced_containers import grace_seconds
from infermesh.deploy.weights import percents
from infermesh.description.place import Duty
from infermesh.description.read import Description
from infermesh.description.workload import GRPC, Workload
from infermesh.policies.endpoints import Breaker, Endpoints, Outlier
from infermesh.policies.requests import Policies, Retry

_CONSUL = "consul.hashicorp.com"

#: Of what is ejected where mesh.yaml does not say it.
_OUTLIER = Outlier()

#: Of its duties: retries have no pause, no budget and no timeout of their own, and instances are ejected
#: by failures in a row alone.
_UNKNOWN: Mapping[str, Set[str]] = {
    "retry": {"per_try_timeout", "backoff_base", "backoff_max", "budget_ratio", "budget_reserve"},
    "breaker": {"min_success_rate", "min_requests", "backoff_max"},
    "outlier": {"max_ejection", "success_rate_sigma"},
    "health_check": set(),
    "balance": set(),
}


class Consul:
    """With a proxy in each Pod, by which all connections go."""

    name = "consul"
    duties: frozenset[Duty] = frozenset(
        {"tls", "authorize", "retry", "timeout", "breaker", "balance", "split"}
    )
    #: Proxies of callers connect to this port, whatever the Service's: a NetworkPolicy has to let them.
    peer_ports: Sequence[int] = (20000,)

    def namespace(self) -> Mapping[str, str]:
        """Calls of a Service's address go through the proxy."""
        return {f"{_CONSUL}/transparent-proxy": "true"}

    def namespace_annotations(self) -> Mapping[str, str]:
        """None."""
        return {}

    def pod_labels(self, _workload: Workload) -> Mapping[str, str]:
        """None."""
        return {}

    def pod_annotations(self, workload: Workload) -> Mapping[str, str]:
        """One port of one Service goes through the proxy. Probes and metrics go past it."""
        port = entrance(workload)
        if port is None:
            return {f"{_CONSUL}/connect-inject": "false"}
        past = [str(it.number) for it in workload.ports if it.audience == "operators"]
        lifecycle = f"{_CONSUL}/sidecar-proxy-lifecycle"
        return {
            f"{_CONSUL}/connect-inject": "true",
            f"{_CONSUL}/transparent-proxy": "true",
            # A Pod is registered once: a second Service, or a second port, would keep it from starting.
            f"{_CONSUL}/kubernetes-service": workload.name,
            # By number: names of ports are not looked up in native sidecars.
            f"{_CONSUL}/connect-service-port": str(workload.port(port).number),
            f"{_CONSUL}/transparent-proxy-exclude-inbound-ports": ",".join(past),
            f"{_CONSUL}/transparent-proxy-overwrite-probes": "false",
            # Callers have the timeouts; Envoy's own of 15 s at the server would cut streams.
            f"{_CONSUL}/proxy-config-map": json.dumps({"local_request_timeout_ms": 0}),
            f"{_CONSUL}/enable-consul-dataplane-as-sidecar": "true",
            f"{_CONSUL}/enable-sidecar-proxy-lifecycle": "true",
            f"{_CONSUL}/enable-sidecar-proxy-lifecycle-shutdown-drain-listeners": "true",
            f"{lifecycle}-shutdown-grace-period-seconds": str(grace_seconds(workload)),
        }

    def service_annotations(self, _workload: Workload) -> Mapping[str, str]:
        """None: Consul has its own objects for it."""
        return {}

    def objects(self, description: Description, namespace: str) -> Iterator[Object]:
        """What each speaks, how it is called, and who may call it."""
        for workload in description.workloads.values():
            if entrance(workload) is None:
                continue
            called = [description.workloads[name] for name in workload.calls if name in description.workloads]
            yield _defaults(workload, called, namespace)
            if workload.policies is not None and workload.has_port(GRPC):
                yield _resolver(workload, workload.policies, namespace)
                yield _router(workload, workload.policies, namespace)
                yield from _splitter(workload, namespace)
            else:
                yield _plain_router(workload, namespace)
            if description.mesh.tls == "mutual":
                yield intentions(workload, description, namespace)


def _made(kind: str, name: str, namespace: str, spec: Object, **annotations: str) -> Object:
    return {**made_for(f"{_CONSUL}/v1alpha1", kind, name, namespace, annotations), "spec": spec}


def _defaults(workload: Workload, called: Sequence[Workload], namespace: str) -> Object:
    """What it speaks; and, as a caller, what it does with those that it calls."""
    port = workload.port(entrance(workload) or GRPC)
    found = [(it.name, instances(it.policies)) for it in called]
    overrides = [_upstream(name, said) for name, said in found if said is not None]
    upstream = {"upstreamConfig": {"overrides": overrides}} if overrides else {}
    return _made("ServiceDefaults", workload.name, namespace, {"protocol": port.protocol, **upstream})


def _upstream(name: str, endpoints: Endpoints) -> Object:
    pool = endpoints.pool
    limits: dict[str, Any] = {
        "maxPendingRequests": pool.max_pending,
        # Envoy counts those that wait among them.
        "maxConcurrentRequests": max(pool.max_pending, 1024),
    }
    if pool.max_connections is not None:
        limits["maxConnections"] = pool.max_connections
    return {
        "name": name,
        "connectTimeoutMs": milliseconds(pool.connect_timeout),
        "limits": limits,
        **_health(endpoints.breaker, endpoints.outlier),
    }


def _health(breaker: Breaker | None, outlier: Outlier | None) -> Object:
    """Envoy has one mechanism for both; failures in a row are the breaker's, if there is one."""
    if breaker is None and outlier is None:
        # Without it Consul would count failures all the same.
        return {"passiveHealthCheck": {"enforcingConsecutive5xx": 0}}
    said = outlier or _OUTLIER
    return {
        "passiveHealthCheck": {
            "interval": short(said.interval),
            "maxFailures": breaker.consecutive_failures if breaker else said.consecutive_failures,
            "enforcingConsecutive5xx": 100,
            "maxEjectionPercent": round(said.max_ejected * 100),
            "baseEjectionTime": short(breaker.backoff_base if breaker else said.base_ejection),
        }
    }


def _resolver(workload: Workload, policies: Policies, namespace: str) -> Object:
    pool = (instances(policies) or Endpoints()).pool
    spec = {
        "connectTimeout": short(pool.connect_timeout),
        "loadBalancer": {"policy": "least_request", "leastRequestConfig": {"choiceCount": 2}},
    }
    return _made("ServiceResolver", workload.name, namespace, spec)


def _router(workload: Workload, policies: Policies, namespace: str) -> Object:
    """One route for all requests. Without a timeout Envoy has one of 15 s; a negative one is none."""
    destination: Object = {
        "service": workload.name,
        "requestTimeout": short(policies.timeout) if policies.timeout else "-1s",
        **_retry(policies.retry),
    }
    spec = {"routes": [{"destination": destination}]}
    return _made("ServiceRouter", workload.name, namespace, spec, **not_kept(policies, _UNKNOWN))


def _plain_router(workload: Workload, namespace: str) -> Object:
    """To an app, whose own sidecar has its timeouts, and tries again what has come as far as that."""
    destination: Object = {
        "service": workload.name,
        "requestTimeout": "-1s",
        "numRetries": 2,
        "retryOn": list(UNSENT),
    }
    return _made("ServiceRouter", workload.name, namespace, {"routes": [{"destination": destination}]})


def _splitter(workload: Workload, namespace: str) -> Iterator[Object]:
    """Of requests that its router has let through; each goes on to the resolver of whom it is for."""
    if splits := [{"weight": weight, "service": name} for name, weight in percents(workload).items()]:
        yield _made("ServiceSplitter", workload.name, namespace, {"splits": splits})


def _retry(retry: Retry | None) -> Object:
    codes = retried(retry)
    if retry is None or not codes:
        return {}
    return {"numRetries": retry.max_attempts - 1, "retryOn": [*codes, *LOST]}
