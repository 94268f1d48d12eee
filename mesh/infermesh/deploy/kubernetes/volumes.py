"""What is mounted into containers: their files, their identity, folders, and room for what is temporary."""

from collections.abc import Sequence

from infermesh.deploy.kubernetes.files import config_map_name
from infermesh.deploy.kubernetes.identities import secret_name
from infermesh.deploy.kubernetes.objects import Object
from infermesh.deploy.kubernetes.place import FILES, PodPlace
from infermesh.deploy.kubernetes.storage import folder_name, volume_name
from infermesh.description.workload import Container

_IDENTITY = "identity"

#: Of an identity's files, whose group is the Pod's: 0440, as JSON has no octal numbers.
_GROUP_READS = 288


def mounts(container: Container, place: PodPlace) -> list[Object]:
    """Of one container. People's find nothing of infermesh's in theirs."""
    found: list[Object] = [{"name": _tmp(container), "mountPath": "/tmp"}]
    if container.files:
        found.append({"name": _files(container), "mountPath": FILES, "readOnly": True})
    if not container.is_ours:
        return found
    if place.identity is not None:
        found.append({"name": _IDENTITY, "mountPath": place.identity, "readOnly": True})
    for path, given in place.mounts.items():
        read = {} if path in container.writes else {"subPath": folder_name(given), "readOnly": True}
        found.append({"name": volume_name(given), "mountPath": path, **read})
    return found


def volumes(containers: Sequence[Container], place: PodPlace) -> list[Object]:
    """Of the Pod."""
    found: list[Object] = []
    for container in containers:
        found.append({"name": _tmp(container), "emptyDir": {}})
        if container.files:
            source = {"name": config_map_name(place.workload, container)}
            found.append({"name": _files(container), "configMap": source})
    if place.identity is not None:
        secret = {"secretName": secret_name(place.workload.name), "defaultMode": _GROUP_READS}
        found.append({"name": _IDENTITY, "secret": secret})
    written = {path for container in containers for path in container.writes}
    return found + [_folder(given, is_written=path in written) for path, given in place.mounts.items()]


def _folder(given: str, *, is_written: bool) -> Object:
    name = volume_name(given)
    if is_written:
        # What a sidecar writes is bounded by itself, and gone with the Pod unless somebody fetches it.
        return {"name": name, "emptyDir": {}}
    return {"name": name, "persistentVolumeClaim": {"claimName": name, "readOnly": True}}


def _files(container: Container) -> str:
    return f"{container.name}-files"


def _tmp(container: Container) -> str:
    # Everybody may write to all of an emptyDir: what is shared, an app could read and replace.
    return f"{container.name}-tmp"
