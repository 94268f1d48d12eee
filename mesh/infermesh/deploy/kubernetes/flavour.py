"""What every service mesh is to the renderer: the same few questions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from infermesh.deploy.kubernetes.objects import Object
from infermesh.description.place import Duty
from infermesh.description.read import Description
from infermesh.description.workload import Workload


class Flavour(Protocol):
    """What a service mesh brings of its own: what it does for callers, and the objects that tell it."""

    #: What it is called on the command line.
    name: str
    #: What sidecars leave to it.
    duties: frozenset[Duty]
    #: Where its proxies connect to each other, beside the ports that are called.
    peer_ports: Sequence[int]

    def namespace(self) -> Mapping[str, str]:
        """Labels of the namespace."""

    def namespace_annotations(self) -> Mapping[str, str]:
        """Annotations of the namespace."""

    def pod_labels(self, workload: Workload) -> Mapping[str, str]:
        """Labels of a workload's Pods."""

    def pod_annotations(self, workload: Workload) -> Mapping[str, str]:
        """Annotations of a workload's Pods."""

    def service_annotations(self, workload: Workload) -> Mapping[str, str]:
        """Annotations of a workload's Service."""

    def objects(self, description: Description, namespace: str) -> Iterator[Object]:
        """What it is told with, in the mesh's own terms."""
