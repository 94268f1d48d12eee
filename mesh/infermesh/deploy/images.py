"""Which container image something runs from."""

from functools import cache
from importlib.metadata import version

from infermesh.description.mesh import Mesh
from infermesh.description.read import Description
from infermesh.description.workload import Container, Workload
from infermesh.errors import ConfigurationError


def image(container: Container, mesh: Mesh) -> str:
    """With the tag, of one that infermesh brings; as it was said, of others, and empty where it was not."""
    if not container.is_ours:
        return container.image
    name: str = getattr(mesh.images, container.image)
    return f"{name}:{container.tag or mesh.images.tag or _version()}"


def required_image(container: Container, workload: Workload, description: Description) -> str:
    """As `image`; raises ConfigurationError for people's containers whose image nobody said."""
    if found := image(container, description.mesh):
        return found
    raise _missing(workload, description)


def refuse_absent(workload: Workload, main: Container, description: Description) -> None:
    """Raises ConfigurationError if what a sidecar stands beside is started by somebody else."""
    if main.is_sidecar:
        raise _missing(workload, description)


def _missing(workload: Workload, description: Description) -> ConfigurationError:
    error = description.mistake(workload.name, "found no image, expected image, the one to run it from")
    error.hint = "below `environments`, it can be said for one environment alone"
    return error


@cache
def _version() -> str:
    return version("infermesh")
