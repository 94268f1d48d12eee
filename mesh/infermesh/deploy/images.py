"""Which container image something runs from."""

from importlib.metadata import version

from infermesh.description.read import Description
from infermesh.description.workload import Container, Workload
from infermesh.errors import ConfigurationError


def image(container: Container, workload: Workload, description: Description) -> str:
    """As a registry knows it, with the tag of what is infermesh's.

    Raises ConfigurationError for people's containers whose image nobody said.
    """
    images = description.mesh.images
    if container.is_ours:
        ours = {"server": images.server, "server_gpu": images.server_gpu, "sidecar": images.sidecar}
        return f"{ours[container.image]}:{images.tag or version('infermesh')}"
    if container.image:
        return container.image
    raise _missing(workload, description)


def refuse_absent(workload: Workload, main: Container, description: Description) -> None:
    """Raises ConfigurationError if what a sidecar stands beside is started by somebody else."""
    if main.is_sidecar:
        raise _missing(workload, description)


def _missing(workload: Workload, description: Description) -> ConfigurationError:
    error = description.mistake(workload.name, "found no image, expected image, the one to run it from")
    error.hint = "below `environments`, it can be said for one environment alone"
    return error
