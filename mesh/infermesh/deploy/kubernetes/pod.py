"""The Pod of a workload: its containers, and what is mounted into them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from infermesh.deploy.kubernetes.container import PRE_STOP, USER, container_object
from infermesh.deploy.kubernetes.files import config_map_name
from infermesh.deploy.kubernetes.flavour import Flavour
from infermesh.deploy.kubernetes.identities import secret_name
from infermesh.deploy.kubernetes.objects import Object, labels
from infermesh.deploy.kubernetes.place import FILES, PodPlace
from infermesh.deploy.kubernetes.resources import GPU
from infermesh.deploy.kubernetes.storage import volume_name
from infermesh.description.workload import Container, Workload

_TMP = "tmp"

_SPREAD = {"host": "kubernetes.io/hostname", "zone": "topology.kubernetes.io/zone"}

#: Between the last container's end and kubelet's patience.
_MARGIN = timedelta(seconds=5)


def pod_template(containers: Sequence[Container], place: PodPlace, flavour: Flavour) -> Object:
    """What a Deployment makes Pods of."""
    workload = place.workload
    marks: Object = {"labels": {**labels(workload.name), **flavour.pod_labels(workload)}}
    if annotations := dict(flavour.pod_annotations(workload)):
        marks["annotations"] = annotations
    return {"metadata": marks, "spec": _spec(containers, place, flavour)}


def _spec(containers: Sequence[Container], place: PodPlace, flavour: Flavour) -> Object:
    workload = place.workload
    made = {
        it.name: container_object(it, workload, place.description.mesh, _mounts(it, place))
        for it in containers
    }
    sidecars = [made[it.name] for it in containers if it.is_sidecar]
    spec: Object = {
        "serviceAccountName": workload.name,
        # It is what a mesh around knows a Pod by; infermesh asks nothing of Kubernetes.
        "automountServiceAccountToken": "tls" in flavour.duties,
        "terminationGracePeriodSeconds": grace(workload, containers),
        "securityContext": {
            "runAsNonRoot": True,
            # Of mounted files, so that whoever runs in the Pod reads them.
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": _SPREAD[workload.placement.spread],
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels(workload.name)},
            }
        ],
        **({"initContainers": sidecars} if sidecars else {}),
        "containers": [made[it.name] for it in containers if not it.is_sidecar],
        "volumes": _volumes(containers, place),
    }
    if workload.placement.gpu:
        spec["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    return spec


def grace(workload: Workload, containers: Sequence[Container]) -> int:
    """Seconds until kubelet kills: the main containers end, and then their sidecars, one after another."""
    longest = (workload.policies and workload.policies.timeout) or timedelta(0)
    main = max(it.grace for it in containers if not it.is_sidecar)
    after = sum((it.grace for it in containers if it.is_sidecar), timedelta(0))
    whole = timedelta(seconds=PRE_STOP) + max(main, longest) + after + _MARGIN
    return -(-whole // timedelta(seconds=1))


def _mounts(container: Container, place: PodPlace) -> list[Mapping[str, object]]:
    found: list[Mapping[str, object]] = [{"name": _TMP, "mountPath": "/tmp"}]
    if container.files:
        found.append({"name": _files(container), "mountPath": FILES, "readOnly": True})
    if not container.is_ours:
        return found
    if place.identity is not None:
        found.append({"name": "identity", "mountPath": place.identity, "readOnly": True})
    for path, given in place.mounts.items():
        written = path in container.writes
        found.append(
            {"name": volume_name(given), "mountPath": path, **({} if written else {"readOnly": True})}
        )
    return found


def _volumes(containers: Sequence[Container], place: PodPlace) -> list[Object]:
    found: list[Object] = [{"name": _TMP, "emptyDir": {}}]
    for container in containers:
        if container.files:
            source = {"name": config_map_name(place.workload, container)}
            found.append({"name": _files(container), "configMap": source})
    if place.identity is not None:
        # 0440: whose group is the Pod's.
        secret = {"secretName": secret_name(place.workload.name), "defaultMode": 0o440}
        found.append({"name": "identity", "secret": secret})
    written = {path for container in containers for path in container.writes}
    for path, given in place.mounts.items():
        name = volume_name(given)
        claim = {"claimName": name, "readOnly": True}
        source = {"emptyDir": {}} if path in written else {"persistentVolumeClaim": claim}
        found.append({"name": name, **source})
    return found


def _files(container: Container) -> str:
    return f"{container.name}-files"
