"""Linkerd: routes, breakers, who may call whom. Never a ServiceProfile: it would switch both off."""

from collections.abc import Iterator, Mapping, Sequence, Set

from infermesh.deploy.kubernetes.backends import backends
from infermesh.deploy.kubernetes.durations import short
from infermesh.deploy.kubernetes.flavours.instances import instances
from infermesh.deploy.kubernetes.flavours.linkerd_access import access
from infermesh.deploy.kubernetes.flavours.not_kept import not_kept
from infermesh.deploy.kubernetes.flavours.retries import retried
from infermesh.deploy.kubernetes.objects import Object, made_for
from infermesh.deploy.kubernetes.unplaced_containers import grace_seconds
from infermesh.description.place import Duty
from infermesh.description.read import Description
from infermesh.description.workload import GRPC, Workload
from infermesh.policies.endpoints import Breaker
from infermesh.policies.requests import Policies, Retry

_ACCRUAL = "balancer.linkerd.io/failure-accrual"

#: The breaker's second half; Linkerd still calls it alpha.
_SUCCESS_RATE = "balancer.alpha.linkerd.io/failure-accrual-success-rate"

#: Of its duties: retries have no budget, and pauses of its own; instances are neither compared nor asked.
_UNKNOWN: Mapping[str, Set[str]] = {
    "retry": {"backoff_base", "backoff_max", "budget_ratio", "budget_reserve"},
    "outlier": set(),
    "health_check": set(),
    "balance": set(),
}


class Linkerd:
    """With a proxy in each Pod; of a release whose routes retry, which 2.16 was the first to do."""

    name = "linkerd"
    duties: frozenset[Duty] = frozenset(
        {"tls", "authorize", "retry", "timeout", "breaker", "balance", "split"}
    )
    #: Proxies of callers connect to this port, whatever the Service's: a NetworkPolicy has to let them.
    peer_ports: Sequence[int] = (4143,)

    def namespace(self) -> Mapping[str, str]:
        """None."""
        return {}

    def namespace_annotations(self) -> Mapping[str, str]:
        """Proxies are put into all Pods."""
        return {"linkerd.io/inject": "enabled"}

    def pod_labels(self, _workload: Workload) -> Mapping[str, str]:
        """None."""
        return {}

    def pod_annotations(self, workload: Workload) -> Mapping[str, str]:
        """The proxy is there before everybody else in the Pod, and stays until they have ended."""
        operators = [str(port.number) for port in workload.ports if port.audience == "operators"]
        return {
            # What it passes on would come from the Pod itself, to whom a sidecar tells and permits more.
            "config.linkerd.io/skip-inbound-ports": ",".join(operators),
            "config.linkerd.io/proxy-enable-native-sidecar": "true",
            "config.linkerd.io/shutdown-grace-period": f"{grace_seconds(workload)}s",
        }

    def service_annotations(self, workload: Workload) -> Mapping[str, str]:
        """When an instance is left alone."""
        said = instances(workload.policies)
        return {} if said is None or said.breaker is None else _accrual(said.breaker)

    def objects(self, description: Description, namespace: str) -> Iterator[Object]:
        """A route for whoever has policies, and who may call whom."""
        for workload in description.workloads.values():
            if workload.policies is not None and workload.has_port(GRPC):
                yield _route(workload, workload.policies, namespace)
        if description.mesh.tls == "mutual":
            for workload in description.workloads.values():
                yield from access(workload, description, namespace)


def _accrual(breaker: Breaker) -> dict[str, str]:
    """By failures in a row; and by the share of successes if that is said: not every release knows it."""
    consecutive = {
        f"{_ACCRUAL}-consecutive-max-failures": str(breaker.consecutive_failures),
        f"{_ACCRUAL}-consecutive-min-penalty": short(breaker.backoff_base),
        f"{_ACCRUAL}-consecutive-max-penalty": short(max(breaker.backoff_max, breaker.backoff_base)),
    }
    if not breaker.model_fields_set & {"min_success_rate", "min_requests"}:
        return {_ACCRUAL: "consecutive", **consecutive}
    return {
        _ACCRUAL: "unified",
        **consecutive,
        f"{_SUCCESS_RATE}-threshold": f"{breaker.min_success_rate:g}",
        f"{_SUCCESS_RATE}-window": "10s",
        f"{_SUCCESS_RATE}-min-requests": str(breaker.min_requests),
    }


def _route(workload: Workload, policies: Policies, namespace: str) -> Object:
    """All requests to a server's Service, whoever answers them."""
    said = {**_timeout(policies), **_retry(policies.retry), **not_kept(policies, _UNKNOWN)}
    route = made_for("gateway.networking.k8s.io/v1", "GRPCRoute", workload.name, namespace, said)
    parent = {"group": "", "kind": "Service", "name": workload.name, "port": workload.port(GRPC).number}
    route["spec"] = {
        "parentRefs": [parent],
        "rules": [{"backendRefs": backends(workload)}],
    }
    return route


def _timeout(policies: Policies) -> dict[str, str]:
    return {"timeout.linkerd.io/request": short(policies.timeout)} if policies.timeout else {}


def _retry(retry: Retry | None) -> dict[str, str]:
    # Without a code there must be no limit either: a limit of 0 is read as 1.
    codes = retried(retry)
    if retry is None or not codes:
        return {}
    per_try = {"retry.linkerd.io/timeout": short(retry.per_try_timeout)} if retry.per_try_timeout else {}
    return {
        "retry.linkerd.io/grpc": ",".join(codes),
        "retry.linkerd.io/limit": str(retry.max_attempts - 1),
        **per_try,
    }
