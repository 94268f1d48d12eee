"""compose.yaml and what it reads."""

from collections.abc import Iterator

from infermesh.deploy import yaml_text
from infermesh.deploy.compose.place import ComposePlace
from infermesh.deploy.compose.service import Object
from infermesh.deploy.compose.services import Services, Where
from infermesh.deploy.images import refuse_absent
from infermesh.deploy.output import File
from infermesh.description.read import Description

FILE = "compose.yaml"

_HEAD = """\
# Written by `infermesh render compose`: change mesh.yaml, or say in compose.override.yaml what is different.
"""


def files(description: Description, where: Where) -> Iterator[File]:
    """All of them.

    Raises ConfigurationError for what Compose cannot run: apps without an image, two services of one name,
    replicas that would share a port of this machine.
    """
    services: dict[str, Object] = {}
    is_mutual = description.mesh.tls == "mutual"
    for workload in description.workloads.values():
        place = ComposePlace(workload, description.workloads, is_mutual, where.people.is_loopback)
        containers = workload.containers(place)
        refuse_absent(workload, containers[0], description)
        for name, found in Services(workload, containers, place, description, where).named():
            if name in services:
                text = f"found a second service that would be called {name}, expected another name"
                raise description.mistake(workload.name, text)
            services[name] = found
        for container in containers:
            for name, text in container.files.items():
                yield File(f"{workload.name}/{name}", text)
    yield File(FILE, _HEAD + yaml_text.one({"name": description.mesh.name, "services": services}))
