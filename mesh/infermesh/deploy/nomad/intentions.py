"""Who may call whom, as Consul says it."""

from typing import Any

from infermesh.deploy.consul import sources
from infermesh.description.read import Description
from infermesh.description.workload import Workload

Entry = dict[str, Any]


def intentions(workload: Workload, description: Description) -> Entry:
    """What `allow` says; without it, a server takes those that call it.

    Apps, and what is exposed, take everybody of the mesh then, a gateway among them.

    Raises ConfigurationError for identities that are no workloads.
    """
    found = [_spelt(it) for it in sources(workload, description)]
    return {"Kind": "service-intentions", "Name": workload.name, "Sources": found}


def _spelt(value: Any) -> Any:
    """As entries have it: fields begin with a capital letter."""
    if isinstance(value, list):
        return [_spelt(it) for it in value]
    if isinstance(value, dict):
        return {
            "HTTP" if field == "http" else field[0].upper() + field[1:]: _spelt(it)
            for field, it in value.items()
        }
    return value
