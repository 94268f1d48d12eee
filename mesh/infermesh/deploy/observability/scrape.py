"""Where Prometheus finds whom, and what it calls them: every series says its `mesh` and its `workload`."""

from collections.abc import Mapping, Sequence

from infermesh.deploy.observability.rule import Object
from infermesh.description.read import Description
from infermesh.description.workload import ADMIN, METRICS, Port, Workload

PATH = "/metrics"
INTERVAL = "15s"

#: The label of Pods that says which workload they are.
NAME_LABEL = "app.kubernetes.io/name"


def metrics_port(workload: Workload) -> Port | None:
    """The port with its metrics: a server's own, else that of its sidecar's operators."""
    return next((workload.port(name) for name in (METRICS, ADMIN) if workload.has_port(name)), None)


def scraped(description: Description) -> dict[str, Port]:
    """The workloads that have metrics, and where."""
    found = {name: metrics_port(workload) for name, workload in description.workloads.items()}
    return {name: port for name, port in found.items() if port is not None}


def static(description: Description, targets: Mapping[str, Sequence[str]]) -> list[Object]:
    """A job for each workload that has targets, which are HOST:PORT."""
    return [
        _job(description, name, {"static_configs": [{"targets": list(targets[name])}]})
        for name in scraped(description)
        if name in targets
    ]


def by_dns(description: Description) -> list[Object]:
    """A job for each workload, whose name resolves to all of its instances, as in Compose's networks."""
    return [
        _job(
            description,
            name,
            {
                "dns_sd_configs": [
                    {"names": [name], "type": "A", "port": port.number, "refresh_interval": INTERVAL}
                ]
            },
        )
        for name, port in scraped(description).items()
    ]


def kubernetes(description: Description, namespace: str) -> list[Object]:
    """One job for all Pods of the mesh in a namespace."""
    ports = scraped(description)
    return [
        {
            "job_name": f"infermesh/{description.mesh.name}",
            "metrics_path": PATH,
            "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": [namespace]}}],
            "relabel_configs": [
                _keep(f"__meta_kubernetes_pod_label_{_as_label(NAME_LABEL)}", "|".join(ports)),
                # A Pod is a target for each of its ports.
                _keep(
                    "__meta_kubernetes_pod_container_port_number",
                    "|".join(sorted({str(port.number) for port in ports.values()})),
                ),
                {
                    "action": "drop",
                    "source_labels": ["__meta_kubernetes_pod_phase"],
                    "regex": "Succeeded|Failed",
                },
                _set("mesh", description.mesh.name),
                _copy(f"__meta_kubernetes_pod_label_{_as_label(NAME_LABEL)}", "workload"),
                _copy("__meta_kubernetes_namespace", "namespace"),
                _copy("__meta_kubernetes_pod_name", "pod"),
                _copy("__meta_kubernetes_pod_node_name", "node"),
            ],
        }
    ]


def configuration(jobs: Sequence[Object], rule_files: Sequence[str]) -> Object:
    """A whole prometheus.yml."""
    return {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": list(rule_files),
        "scrape_configs": list(jobs),
    }


def _job(description: Description, name: str, discovery: Object) -> Object:
    mesh = description.mesh.name
    return {
        "job_name": f"infermesh/{mesh}/{name}",
        "metrics_path": PATH,
        **discovery,
        "relabel_configs": [_set("mesh", mesh), _set("workload", name)],
    }


def _set(label: str, value: str) -> Object:
    return {"target_label": label, "replacement": value}


def _copy(source: str, label: str) -> Object:
    return {"source_labels": [source], "target_label": label}


def _keep(source: str, pattern: str) -> Object:
    return {"action": "keep", "source_labels": [source], "regex": pattern}


def _as_label(name: str) -> str:
    """As Prometheus spells a name of Kubernetes."""
    return "".join(char if char.isalnum() else "_" for char in name)
