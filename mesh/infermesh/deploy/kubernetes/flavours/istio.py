"""Istio: its proxies encrypt, tell who calls, choose endpoints, and try again; the sidecar does the rest."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from infermesh.deploy import yaml_text
from infermesh.deploy.callers import entrance
from infermesh.deploy.kubernetes.durations import protobuf
from infermesh.deploy.kubernetes.flavours.istio_access import authorization_policy, peer_authentication
from infermesh.deploy.kubernetes.flavours.istio_traffic import (
    destination_rule,
    lost_requests,
    virtual_service,
)
from infermesh.deploy.kubernetes.objects import Object, made
from infermesh.description.place import Duty
from infermesh.description.read import Description
from infermesh.description.workload import Workload

#: What traces go through: operators name it in Istio's own configuration.
PROVIDER = "infermesh"

#: What a request takes at most of which nothing is said, and what is added to it.
_LONGEST, _MARGIN = timedelta(seconds=35), timedelta(seconds=5)


class Istio:
    """With a proxy in each Pod."""

    name = "istio"
    duties: frozenset[Duty] = frozenset(
        {"tls", "authorize", "retry", "timeout", "breaker", "balance", "split"}
    )
    peer_ports: Sequence[int] = ()

    def namespace(self) -> Mapping[str, str]:
        """Pods get a proxy."""
        return {"istio-injection": "enabled"}

    def namespace_annotations(self) -> Mapping[str, str]:
        """None."""
        return {}

    def pod_labels(self, _workload: Workload) -> Mapping[str, str]:
        """None."""
        return {}

    def pod_annotations(self, workload: Workload) -> Mapping[str, str]:
        """How the proxy begins and ends, and which ports it leaves alone."""
        timeout = (workload.policies and workload.policies.timeout) or timedelta(0)
        proxy = {
            "holdApplicationUntilProxyStarts": True,
            "terminationDrainDuration": protobuf(max(_LONGEST, timeout + _MARGIN)),
            # That is how long at most.
            "proxyMetadata": {"EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true"},
        }
        operators = [str(port.number) for port in workload.ports if port.audience == "operators"]
        return {
            "sidecar.istio.io/nativeSidecar": "true",
            "proxy.istio.io/config": yaml_text.one(proxy),
            # Where these are given, a proxy has no limit of CPUs.
            "sidecar.istio.io/proxyCPU": "100m",
            "sidecar.istio.io/proxyMemory": "128Mi",
            "sidecar.istio.io/proxyMemoryLimit": "1Gi",
            # Kubelet and Prometheus have no identity, and a NetworkPolicy says who comes here.
            "traffic.sidecar.istio.io/excludeInboundPorts": ",".join(operators),
            "sidecar.istio.io/rewriteAppHTTPProbers": "false",
        }

    def service_annotations(self, _workload: Workload) -> Mapping[str, str]:
        """None: it knows protocols by the names of ports."""
        return {}

    def objects(self, description: Description, namespace: str) -> Iterator[Object]:
        """Who may call whom, and how."""
        mutual = description.mesh.tls == "mutual"
        yield peer_authentication(namespace, mutual=mutual)
        for workload in description.workloads.values():
            if mutual:
                yield authorization_policy(workload, description, namespace)
            if workload.policies is not None:
                yield destination_rule(workload, workload.policies, namespace, mutual=mutual)
                yield virtual_service(workload, workload.policies, namespace)
            elif entrance(workload) is not None:
                yield lost_requests(workload, namespace)
        if description.mesh.collector is not None:
            telemetry = made("telemetry.istio.io/v1", "Telemetry", "infermesh", namespace)
            yield {**telemetry, "spec": {"tracing": [{"providers": [{"name": PROVIDER}]}]}}
