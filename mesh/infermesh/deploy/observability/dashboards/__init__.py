"""Dashboards for Grafana: the mesh as a whole, then its models, its sidecars, its processes and GPUs."""

import json

from infermesh.deploy.observability.dashboards import overview, processes, servers, sidecars

_ALL = (overview, servers, sidecars, processes)


def dashboards() -> dict[str, str]:
    """By name, as JSON. They are the same for every mesh: which one is chosen in Grafana."""
    made = (module.dashboard() for module in _ALL)
    return {it["uid"]: json.dumps(it, indent=2) + "\n" for it in made}
