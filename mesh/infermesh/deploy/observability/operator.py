"""The same for Prometheus' operator and Grafana's sidecar in Kubernetes: objects that they look for."""

from collections.abc import Iterator

from infermesh.deploy.observability.alerts import RUNBOOK
from infermesh.deploy.observability.dashboards import dashboards
from infermesh.deploy.observability.rule import Object
from infermesh.deploy.observability.rules import rules
from infermesh.deploy.observability.scrape import INTERVAL, NAME_LABEL, PATH, scraped
from infermesh.description.read import Description

API = "monitoring.coreos.com/v1"


def objects(description: Description, namespace: str, runbook: str = RUNBOOK) -> Iterator[Object]:
    """All of it: how Pods are scraped, rules, dashboards."""
    yield from podmonitors(description, namespace)
    yield prometheusrule(description, namespace, runbook)
    yield from configmaps(description, namespace)


def podmonitors(description: Description, namespace: str) -> Iterator[Object]:
    """One for each port that has metrics, of all workloads where it is the same."""
    workloads: dict[int, list[str]] = {}
    for name, port in scraped(description).items():
        workloads.setdefault(port.number, []).append(name)
    for number, names in workloads.items():
        chosen = {"matchExpressions": [{"key": NAME_LABEL, "operator": "In", "values": names}]}
        yield _object(API, "PodMonitor", f"{description.mesh.name}-{number}", namespace) | {
            "spec": {"selector": chosen, "podMetricsEndpoints": [_endpoint(number, description.mesh.name)]}
        }


def prometheusrule(description: Description, namespace: str, runbook: str = RUNBOOK) -> Object:
    """All rules."""
    made = _object(API, "PrometheusRule", description.mesh.name, namespace)
    return made | {"spec": rules(description, namespace, runbook)}


def configmaps(description: Description, namespace: str) -> Iterator[Object]:
    """One for each dashboard, with the label that Grafana's chart looks for."""
    for name, text in dashboards().items():
        made = _object("v1", "ConfigMap", f"{description.mesh.name}-{name}", namespace)
        made["metadata"]["labels"] = {"grafana_dashboard": "1"}
        yield made | {"data": {f"{name}.json": text}}


def _endpoint(number: int, mesh: str) -> Object:
    return {
        "portNumber": number,
        "path": PATH,
        "interval": INTERVAL,
        "relabelings": [
            {"targetLabel": "mesh", "replacement": mesh},
            {
                "sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"],
                "targetLabel": "workload",
            },
        ],
    }


def _object(api: str, kind: str, name: str, namespace: str) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}}
