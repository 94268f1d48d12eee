"""Files that containers read: ConfigMaps that kustomize makes, named by their contents.

A Deployment names them so too, and replaces its Pods when one is different.
"""

from collections.abc import Iterator, Sequence

from infermesh.deploy.kubernetes.objects import Object
from infermesh.deploy.output import File
from infermesh.description.workload import Container, Workload


def config_map_name(workload: Workload, container: Container) -> str:
    """What the ConfigMap of a container is called before kustomize adds a digest."""
    return f"{workload.name}-{container.name}"


def files(workload: Workload, containers: Sequence[Container]) -> Iterator[File]:
    """Those of a workload."""
    for container in containers:
        for name, text in container.files.items():
            yield File(_path(workload, container, name), text)


def generators(workload: Workload, containers: Sequence[Container], namespace: str) -> Iterator[Object]:
    """What kustomize is told of them."""
    for container in containers:
        if container.files:
            yield {
                "name": config_map_name(workload, container),
                "namespace": namespace,
                "files": [_path(workload, container, name) for name in container.files],
            }


def _path(workload: Workload, container: Container, name: str) -> str:
    return f"files/{workload.name}/{container.name}/{name}"
