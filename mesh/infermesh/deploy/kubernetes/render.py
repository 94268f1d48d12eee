"""All files of a mesh for Kubernetes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from infermesh.deploy import yaml_text
from infermesh.deploy.kubernetes import autoscaling
from infermesh.deploy.kubernetes.checks import check
from infermesh.deploy.kubernetes.deployment import deployment, disruption_budget, service_account
from infermesh.deploy.kubernetes.exposure import exposure
from infermesh.deploy.kubernetes.files import files, generators
from infermesh.deploy.kubernetes.flavour import Flavour
from infermesh.deploy.kubernetes.network import network_policy, nobody
from infermesh.deploy.kubernetes.objects import Object, made
from infermesh.deploy.kubernetes.place import PodPlace
from infermesh.deploy.kubernetes.services import services
from infermesh.deploy.kubernetes.storage import claims, volume_name
from infermesh.deploy.output import File
from infermesh.description.place import Duty
from infermesh.description.read import Description
from infermesh.description.workload import Container


@dataclass(frozen=True)
class Rendered:
    """The files, and what operators have to bring."""

    files: Sequence[File]
    #: Folders of models by the name of the PersistentVolumeClaim that they belong into.
    claims: Mapping[str, str]


@dataclass(frozen=True)
class _Pod:
    place: PodPlace
    containers: Sequence[Container]


def render(description: Description, flavour: Flavour, namespace: str, monitoring: str) -> Rendered:
    """A mesh for one namespace; `monitoring` is the one that Prometheus runs in.

    Raises ConfigurationError for what cannot run there, such as an app without an image.
    """
    duties = duties_of(flavour, description)
    pods = []
    for workload in description.workloads.values():
        place = PodPlace(description, workload, duties)
        pods.append(_Pod(place, check(workload.containers(place), place)))
    folders = _read_folders(pods)
    objects = {
        "namespace.yaml": [_namespace(namespace, flavour)],
        "network.yaml": [nobody(namespace)],
        "storage.yaml": list(claims(description.folder, folders, namespace)),
        f"{flavour.name}.yaml": list(flavour.objects(description, namespace)),
        **{
            f"workloads/{pod.place.workload.name}.yaml": list(_of(pod, flavour, namespace, monitoring))
            for pod in pods
        },
    }
    written = {path: found for path, found in objects.items() if found}
    maps = [it for pod in pods for it in generators(pod.place.workload, pod.containers, namespace)]
    kustomization = _kustomization(description.mesh.name, list(written), maps)
    return Rendered(
        [
            File("kustomization.yaml", yaml_text.one(kustomization)),
            *(File(path, yaml_text.several(found)) for path, found in written.items()),
            *(file for pod in pods for file in files(pod.place.workload, pod.containers)),
        ],
        folders,
    )


def duties_of(flavour: Flavour, description: Description) -> frozenset[Duty]:
    """What is left to the mesh around: where all is plaintext, nobody is known either."""
    return flavour.duties - {"tls", "authorize"} if description.mesh.tls == "off" else flavour.duties


def _kustomization(mesh: str, resources: Sequence[str], maps: Sequence[Object]) -> Object:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        # On all objects, but not what Pods are chosen by: for those who look for what a mesh has left behind.
        "labels": [{"pairs": {"app.kubernetes.io/part-of": mesh}}],
        "resources": list(resources),
        "configMapGenerator": list(maps),
    }


def _of(pod: _Pod, flavour: Flavour, namespace: str, monitoring: str) -> Iterator[Object]:
    workload = pod.place.workload
    yield service_account(workload, namespace)
    yield deployment(pod.containers, pod.place, namespace, flavour)
    yield from services(workload, namespace, flavour)
    yield disruption_budget(workload, namespace)
    yield network_policy(workload, pod.place.description, namespace, flavour, monitoring)
    yield from exposure(workload, namespace)
    yield from autoscaling.objects(workload, namespace)


def _read_folders(pods: Sequence[_Pod]) -> dict[str, str]:
    found = {}
    for pod in pods:
        written = {path for container in pod.containers for path in container.writes}
        found.update(
            {volume_name(given): given for path, given in pod.place.mounts.items() if path not in written}
        )
    return found


def _namespace(name: str, flavour: Flavour) -> Object:
    marks = {"labels": flavour.namespace(), "annotations": flavour.namespace_annotations()}
    return made("v1", "Namespace", name, None, marks)
