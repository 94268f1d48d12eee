"""What may be right on one machine, and cannot be run in a cluster."""

from collections.abc import Sequence

from infermesh.deploy.kubernetes.place import PodPlace
from infermesh.deploy.kubernetes.services import LONGEST, endpoints_name
from infermesh.description.workload import Container


def check(containers: Sequence[Container], place: PodPlace) -> Sequence[Container]:
    """Return the containers; raise ConfigurationError, with the line of the workload, if they cannot run."""
    workload = place.workload
    mistake = place.description.mistake
    if len(workload.name) > LONGEST:
        text = (
            f"found a name of {len(workload.name)} characters, expected {LONGEST} at most: Services have it"
        )
        raise mistake(workload.name, text)
    if (second := endpoints_name(workload.name)) in place.description.workloads:
        raise mistake(second, f"found a name that a Service of {workload.name} has, expected another")
    if all(it.is_sidecar for it in containers) or any(not it.image for it in containers):
        text = "found no image, expected image, the container image that Kubernetes can start"
        raise mistake(workload.name, text)
    named = any(it.identities for it in workload.allow)
    if named and place.identity is None and "authorize" not in place.duties:
        text = (
            "found identities in allow, where neither infermesh nor the mesh around tells who calls, "
            "expected tls: mutual, and --mesh none or one that authorizes"
        )
        raise mistake(workload.name, text)
    return containers
