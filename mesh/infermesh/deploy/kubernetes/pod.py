"""The Pod of a workload."""

from collections.abc import Sequence
from datetime import timedelta

from infermesh.deploy.kubernetes.flavour import Flavour
from infermesh.deploy.kubernetes.objects import Object, labels
from infermesh.deploy.kubernetes.place import PodPlace
from infermesh.deploy.kubernetes.pod_container import PRE_STOP, USER, container_object
from infermesh.deploy.kubernetes.resources import GPU
from infermesh.deploy.kubernetes.volumes import mounts, volumes
from infermesh.description.workload import Container, Workload

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
        it.name: container_object(it, workload, place.description.mesh, mounts(it, place))
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
        "volumes": volumes(containers, place),
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
