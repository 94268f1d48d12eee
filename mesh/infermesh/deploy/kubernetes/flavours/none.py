"""No mesh around: infermesh does all of it."""

from collections.abc import Iterator, Mapping, Sequence

from infermesh.deploy.kubernetes.identities import identities
from infermesh.deploy.kubernetes.objects import Object
from infermesh.description.place import Duty
from infermesh.description.read import Description
from infermesh.description.workload import Workload


class NoMesh:
    """Identities by cert-manager, everything else by sidecars and servers."""

    name = "none"
    duties: frozenset[Duty] = frozenset()
    peer_ports: Sequence[int] = ()

    def namespace(self) -> Mapping[str, str]:
        """The strictest standard forbids nothing that these Pods need."""
        return {"pod-security.kubernetes.io/enforce": "restricted"}

    def namespace_annotations(self) -> Mapping[str, str]:
        """None."""
        return {}

    def pod_labels(self, _workload: Workload) -> Mapping[str, str]:
        """None."""
        return {}

    def pod_annotations(self, _workload: Workload) -> Mapping[str, str]:
        """None."""
        return {}

    def service_annotations(self, _workload: Workload) -> Mapping[str, str]:
        """None."""
        return {}

    def objects(self, description: Description, namespace: str) -> Iterator[Object]:
        """Identities, unless all is to be plaintext."""
        if description.mesh.tls == "mutual":
            yield from identities(description, namespace)
