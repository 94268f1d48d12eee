"""Images of containers."""

from functools import cache
from importlib.metadata import version

from infermesh.description.mesh import Mesh
from infermesh.description.workload import Container


def image(container: Container, mesh: Mesh) -> str:
    """With the tag, of one that infermesh brings; as it was said, of others."""
    if not container.is_ours:
        return container.image
    name: str = getattr(mesh.images, container.image)
    return f"{name}:{mesh.images.tag or _version()}"


@cache
def _version() -> str:
    return version("infermesh")
