"""KServe: model servers as runtimes of its own, in place of Deployments."""

from collections.abc import Iterator

from infermesh.deploy.images import image
from infermesh.deploy.kubernetes.objects import NOT_KEPT, Object, made_for
from infermesh.deploy.kubernetes.resources import resources
from infermesh.description.place import Duty, Reach
from infermesh.description.read import Description
from infermesh.description.workload import GRPC, HTTP, METRICS, Container, Workload

#: Where KServe puts what a storageUri names.
_MODELS = "/mnt/models"

#: Where it looks for HTTP and gRPC unless it is told otherwise.
_PORTS = {HTTP: 8080, GRPC: 9000}


class _KServePlace:
    """A Pod that KServe makes of a runtime; what encrypts is around it."""

    identity = None
    is_private = False
    duties: frozenset[Duty] = frozenset({"tls"})

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        #: The repositories that were asked for.
        self.repositories: list[str] = []

    def listen(self, port: str) -> str:
        return f"0.0.0.0:{self.number(port)}"

    def number(self, port: str) -> int:
        return _PORTS.get(port, self._workload.port(port).number)

    def reach(self, workload: str, port: str) -> Reach:
        return Reach(dns=f"{workload}-predictor:{_PORTS.get(port, 80)}")

    def path(self, given: str) -> str:
        self.repositories.append(given)
        return _MODELS

    def file(self, name: str) -> str:
        return name


def objects(description: Description, namespace: str) -> Iterator[Object]:
    """A runtime for each model server; and, where its repository is a URL, a service that uses it.

    Raises ConfigurationError for a server of several repositories.
    """
    for workload in description.workloads.values():
        if not workload.has_port(GRPC):
            continue
        place = _KServePlace(workload)
        container = workload.containers(place)[0]
        if len(place.repositories) > 1:
            text = f"found {len(place.repositories)} model repositories, expected one: KServe mounts no more"
            raise description.mistake(workload.name, text)
        yield _runtime(workload, container, description, namespace)
        if "://" in place.repositories[0]:
            yield _service(workload, place.repositories[0], namespace)


def _runtime(workload: Workload, container: Container, description: Description, namespace: str) -> Object:
    runtime = made_for("serving.kserve.io/v1alpha1", "ServingRuntime", workload.name, namespace)
    runtime["spec"] = {
        "annotations": {
            "prometheus.kserve.io/port": str(workload.port(METRICS).number),
            "prometheus.kserve.io/path": "/metrics",
        },
        # Others' ONNX models have other layouts: a service that wants this runtime names it.
        "supportedModelFormats": [{"name": "onnx", "version": "1", "autoSelect": False}],
        "protocolVersions": ["v2", "grpc-v2"],
        "containers": [
            {
                "name": "kserve-container",
                "image": image(container, description.mesh),
                "args": list(container.command),
                **_environment(container),
                "resources": resources(container, workload.placement),
                "readinessProbe": {"grpc": {"port": _PORTS[GRPC]}},
                "securityContext": {
                    "runAsNonRoot": True,
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
    return runtime


def _service(workload: Workload, repository: str, namespace: str) -> Object:
    scale, replicas = workload.placement.autoscale, workload.placement.replicas
    # It splits between revisions of one service, and not between two.
    not_kept = {NOT_KEPT: "split"} if workload.split else {}
    service = made_for("serving.kserve.io/v1beta1", "InferenceService", workload.name, namespace, not_kept)
    service["spec"] = {
        "predictor": {
            "minReplicas": scale.min if scale else replicas,
            "maxReplicas": scale.max if scale else replicas,
            "model": {
                "modelFormat": {"name": "onnx"},
                "runtime": workload.name,
                "storageUri": repository,
                "protocolVersion": "grpc-v2",
                # Knative takes one port, and one of this name for HTTP/2; without Knative it is as good.
                "ports": [{"name": "h2c", "containerPort": _PORTS[GRPC], "protocol": "TCP"}],
            },
        }
    }
    return service


def _environment(container: Container) -> Object:
    said = [{"name": name, "value": value} for name, value in container.environment.items()]
    return {"env": said} if said else {}
