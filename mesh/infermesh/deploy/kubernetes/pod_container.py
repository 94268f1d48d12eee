"""One container of a Pod, as the object that kubelet reads."""

from collections.abc import Sequence

from infermesh.deploy.images import image
from infermesh.deploy.kubernetes.objects import Object
from infermesh.deploy.kubernetes.probes import probes
from infermesh.deploy.kubernetes.resources import resources
from infermesh.deploy.kubernetes.services import port_name
from infermesh.description.mesh import Mesh
from infermesh.description.workload import Container, Workload

#: Who containers of infermesh run as, whatever their images say; kubelet checks a number only.
USER = 65532

#: Time in which others learn that a Pod is about to go, while it takes requests as before.
PRE_STOP = 5


def environment_name(workload: str) -> str:
    """The Secret with environment variables of a workload's main container."""
    return f"{workload}-env"


def container_object(
    container: Container, workload: Workload, mesh: Mesh, mounts: Sequence[Object]
) -> Object:
    """What kubelet is to run.

    A native sidecar if it is one: an init container that goes on, is up before the main one, and is ended
    after it.
    """
    found: Object = {"name": container.name, "image": image(container, mesh)}
    if container.is_sidecar:
        found["restartPolicy"] = "Always"
    if container.is_ours:
        # After the command of the image, which is `infermesh`.
        found["args"] = list(container.command)
    if container.environment:
        found["env"] = [{"name": name, "value": value} for name, value in container.environment.items()]
    if not container.is_sidecar:
        # What must not stand in a file: keys of a store, passwords. Operators make it, where there is any.
        found["envFrom"] = [{"secretRef": {"name": environment_name(workload.name), "optional": True}}]
    if ports := [port for name in container.ports if (port := workload.port(name)).audience != "itself"]:
        found["ports"] = [{"name": port_name(port), "containerPort": port.number} for port in ports]
    found["resources"] = resources(container, workload.placement)
    found.update(probes(container, workload))
    if not container.is_sidecar:
        found["lifecycle"] = {"preStop": {"sleep": {"seconds": PRE_STOP}}}
    found["securityContext"] = _security(container)
    if mounts:
        found["volumeMounts"] = list(mounts)
    return found


def _security(container: Container) -> Object:
    user = {"runAsUser": USER, "runAsGroup": USER} if container.is_ours else {}
    return {
        "runAsNonRoot": True,
        **user,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
