"""The job, what its tasks read, and what Consul is told."""

from collections.abc import Iterator

from infermesh.deploy.nomad import consul, hcl
from infermesh.deploy.nomad.group import group
from infermesh.deploy.nomad.place import NomadPlace
from infermesh.deploy.output import File
from infermesh.description.read import Description
from infermesh.errors import ConfigurationError

_HEAD = "# Written by `infermesh render nomad`: change mesh.yaml.\n"


def files(description: Description) -> Iterator[File]:
    """All of them.

    Raises ConfigurationError for apps without an image, for a mesh that is to speak plaintext, and for
    callers that Consul has no name for.
    """
    if description.mesh.tls == "off":
        raise ConfigurationError(
            f"{description.file}: found `tls: off`, expected `mutual`: Consul's proxies encrypt",
            hint="below `environments`, it can be said for one environment alone",
        )
    groups = []
    for workload in description.workloads.values():
        place = NomadPlace(workload, description.workloads)
        groups.append(group(workload, place, description))
        for container in workload.containers(place):
            for name, text in container.files.items():
                yield File(f"{workload.name}/{name}", text)
    job = hcl.block("job", description.mesh.name, type="service", inside=groups)
    yield File(f"{description.mesh.name}.nomad.hcl", _HEAD + hcl.text([job]))
    yield from consul.files(description)
