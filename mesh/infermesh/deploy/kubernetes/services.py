"""Services: the names that workloads are called by."""

from collections.abc import Iterator

from infermesh.deploy.kubernetes.flavour import Flavour
from infermesh.deploy.kubernetes.objects import Object, labels, made_for
from infermesh.description.workload import Port, Workload

#: Of the Service whose name stands for the addresses of all Pods.
_ENDPOINTS = "-pods"

#: A Service's name is a host's.
LONGEST = 63 - len(_ENDPOINTS)


def endpoints_name(workload: str) -> str:
    """The name behind which are all Pods of a workload."""
    return f"{workload}{_ENDPOINTS}"


def port_name(port: Port) -> str:
    """With the protocol in front, by which Istio and Consul know it; Linkerd looks at the bytes.

    `appProtocol` has no value that all of them understand: of `grpc` Linkerd takes no notice of the
    protocol at all, of `kubernetes.io/h2c` Istio knows no more than HTTP/2.
    """
    return port.protocol if port.name == port.protocol else f"{port.protocol}-{port.name}"[:15].rstrip("-")


def services(workload: Workload, namespace: str, flavour: Flavour) -> Iterator[Object]:
    """One address for whoever asks; where callers balance themselves, a name with all Pods behind it too."""
    ports = [port for port in workload.ports if port.audience == "mesh"]
    if not ports:
        return
    annotations = flavour.service_annotations(workload)
    service = made_for("v1", "Service", workload.name, namespace, annotations)
    service["spec"] = {"selector": labels(workload.name), "ports": [_port(port) for port in ports]}
    yield service
    balanced = [port for port in ports if port.protocol == "grpc"]
    if balanced and "balance" not in flavour.duties:
        name = endpoints_name(workload.name)
        headless = made_for("v1", "Service", workload.name, namespace, annotations, name=name)
        headless["spec"] = {
            "clusterIP": "None",
            "selector": labels(workload.name),
            "ports": [_port(port) for port in balanced],
        }
        yield headless


def _port(port: Port) -> Object:
    return {"name": port_name(port), "port": port.number, "targetPort": port_name(port)}
