"""Istio's objects as its control plane tells them to Envoy; a field that is not known here is a failure."""

from collections.abc import Mapping, Sequence
from typing import Any

from support import istio

Object = dict[str, Any]

RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"

#: Where nothing is said there is no limit.
_UNLIMITED = 4_294_967_295


def retry_policy(retries: Object) -> Object | None:
    """Of a VirtualService: what is said is laid over what Istio does by itself."""
    attempts, on, each, backoff = _fields(retries, "attempts", "retryOn", "perTryTimeout", "backoff")
    if not attempts:
        return None
    return {
        "num_retries": attempts,
        "retry_on": on,
        **istio.OTHER_HOSTS,
        **({"per_try_timeout": each} if each else {}),
        **({"retry_back_off": {"base_interval": backoff}} if backoff else {}),
    }


def virtual_host(virtual_service: Object, namespace: str) -> Object:
    """The requests that a VirtualService is for, and what is done with them.

    Istio knows requests by their authority, and by nothing else.
    """
    hosts, (http,) = _fields(virtual_service["spec"], "hosts", "http")
    timeout, retries, destinations = _fields(http, "timeout", "retries", "route")
    whole = timeout or "0s"
    # A caller's shorter deadline holds.
    route = {**_destinations(destinations), "timeout": whole, "max_grpc_timeout": whole}
    policy = retry_policy(retries)
    return {
        "name": hosts[0],
        "domains": [f"{host}{rest}" for host in hosts for rest in _endings(namespace)],
        "routes": [istio.everything({**route, **({"retry_policy": policy} if policy else {})})],
    }


def _destinations(given: Sequence[Object]) -> Object:
    weighted = []
    for it in given:
        destination, weight = _fields(it, "destination", "weight")
        (host,) = _fields(destination, "host")
        weighted.append({"name": host, "weight": weight})
    if len(weighted) == 1:
        return {"cluster": weighted[0]["name"]}
    return {"weighted_clusters": {"clusters": weighted}}


def cluster(destination_rule: Object, ports: Sequence[int], mutual: Object) -> Object:
    """Those that a DestinationRule is for; `mutual` is the TLS that it may ask for."""
    host, policy = _fields(destination_rule["spec"], "host", "trafficPolicy")
    balancer, pool, tls, budget, outliers = _fields(
        policy, "loadBalancer", "connectionPool", "tls", "retryBudget", "outlierDetection"
    )
    assert tls in ({"mode": "ISTIO_MUTUAL"}, {"mode": "DISABLE"})
    (simple,) = _fields(balancer, "simple")
    assert simple == "LEAST_REQUEST"
    found = istio.cluster(host, ports, mutual if tls["mode"] == "ISTIO_MUTUAL" else None)
    found["lb_policy"] = simple
    _connect(found, pool, budget)
    if outliers is not None:
        found["outlier_detection"] = _outliers(outliers)
        # Few Pods that are well get all, and not those that are ill their part.
        found["common_lb_config"] = {"healthy_panic_threshold": {"value": 0}}
    return found


def wants_identities(peer_authentication: Object) -> bool:
    """Whether who calls has to have one."""
    (mutual,) = _fields(peer_authentication["spec"], "mtls")
    (mode,) = _fields(mutual, "mode")
    assert mode in ("STRICT", "DISABLE")
    return bool(mode == "STRICT")


def authorization(policy: Object, ports: Mapping[int, int]) -> Object:
    """The filter that an AuthorizationPolicy comes to; `ports` are where those of the Pod are here."""
    action, rules, _ = _fields(policy["spec"], "action", "rules", "selector")
    assert action == "ALLOW"
    policies = {f"rule {index}": _rule(rule, ports) for index, rule in enumerate(rules)}
    config = {"@type": RBAC, "rules": {"action": "ALLOW", "policies": policies}}
    return {"name": "envoy.filters.http.rbac", "typed_config": config}


def _connect(found: Object, pool: Object, budget: Object | None) -> None:
    tcp, http = _fields(pool, "tcp", "http")
    connections, timeout, age = _fields(tcp, "maxConnections", "connectTimeout", "maxConnectionDuration")
    pending, requests, idle = _fields(http, "http1MaxPendingRequests", "http2MaxRequests", "idleTimeout")
    limits: Object = {
        "max_connections": connections,
        "max_pending_requests": pending,
        "max_requests": requests,
        "max_retries": _UNLIMITED,
    }
    if budget is not None:
        percent, least = _fields(budget, "percent", "minRetryConcurrency")
        limits["retry_budget"] = {"budget_percent": {"value": percent}, "min_retry_concurrency": least}
    found["connect_timeout"] = timeout
    found["circuit_breakers"] = {"thresholds": [limits]}
    (options,) = found["typed_extension_protocol_options"].values()
    options["common_http_protocol_options"] = {"idle_timeout": idle, "max_connection_duration": age}


def _outliers(said: Object) -> Object:
    failures, gateway, interval, ejection, share = _fields(
        said,
        "consecutive5xxErrors",
        "consecutiveGatewayErrors",
        "interval",
        "baseEjectionTime",
        "maxEjectionPercent",
    )
    return {
        "consecutive_5xx": failures,
        "enforcing_consecutive_5xx": 100,
        "consecutive_gateway_failure": gateway,
        "enforcing_consecutive_gateway_failure": 100,
        "enforcing_success_rate": 0,
        "interval": interval,
        "base_ejection_time": ejection,
        "max_ejection_percent": share,
    }


def _rule(rule: Object, ports: Mapping[int, int]) -> Object:
    sources, operations = _fields(rule, "from", "to")
    allowed = [_any("or_ids", "ids", _source(it)) for it in sources or []]
    return {
        "permissions": [_operation(it, ports) for it in operations],
        "principals": allowed or [{"any": True}],
    }


def _source(given: Object) -> list[Object]:
    (source,) = _fields(given, "source")
    principals, namespaces = _fields(source, "principals", "namespaces")
    names = [_text(it, "spiffe://") for it in principals or []]
    names += [{"safe_regex": {"regex": f".*/ns/{it}/.*"}} for it in namespaces or []]
    return [{"authenticated": {"principal_name": name}} for name in names]


def _operation(given: Object, ports: Mapping[int, int]) -> Object:
    (operation,) = _fields(given, "operation")
    numbers, paths, methods = _fields(operation, "ports", "paths", "methods")
    wanted = [_any("or_rules", "rules", [{"destination_port": ports[int(it)]} for it in numbers])]
    if paths:
        wanted.append(_any("or_rules", "rules", [{"url_path": {"path": _text(it)}} for it in paths]))
    if methods:
        headers = [{"header": {"name": ":method", "string_match": _text(it)}} for it in methods]
        wanted.append(_any("or_rules", "rules", headers))
    return {"and_rules": {"rules": wanted}}


def _any(kind: str, several: str, alternatives: Sequence[Object]) -> Object:
    return {kind: {several: list(alternatives)}}


def _text(wanted: str, prefix: str = "") -> Object:
    """`*` at one end stands for anything, and alone for something."""
    if wanted == "*":
        return {"safe_regex": {"regex": ".+"}}
    if wanted.startswith("*"):
        return {"suffix": wanted[1:]}
    return {"prefix": prefix + wanted[:-1]} if wanted.endswith("*") else {"exact": prefix + wanted}


def _endings(namespace: str) -> Sequence[str]:
    """After the name of a Service, for those of its own namespace."""
    whole = f".{namespace}.svc.cluster.local"
    return ["", whole[: -len(".svc.cluster.local")], whole[: -len(".cluster.local")], whole]


def _fields(given: Object, *known: str) -> list[Any]:
    """The values of known fields, None for those that are not there."""
    assert given.keys() <= set(known), f"found {sorted(given.keys() - set(known))}, expected {known}"
    return [given.get(name) for name in known]
