"""Probes: kubelet asks from outside the Pod."""

from infermesh.deploy.kubernetes.objects import Object
from infermesh.deploy.kubernetes.services import port_name
from infermesh.description.workload import Container, Probe, Workload

#: Models may take long to load, and to be fetched before that: ten minutes.
_STARTS = {"periodSeconds": 5, "failureThreshold": 120}
_SIDECAR_STARTS = {"periodSeconds": 1, "failureThreshold": 60}
_READY = {"periodSeconds": 5, "failureThreshold": 2, "timeoutSeconds": 2}
#: Slow on purpose: what is only busy must not be ended.
_LIVE = {"periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5}


def probes(container: Container, workload: Workload) -> Object:
    """Startup, readiness and liveness, as fields of a container.

    None of a port that listens on the loopback, where kubelet does not come: the readiness of a sidecar
    waits for its app.
    """
    if workload.port(container.ready.port).audience == "itself":
        return {}
    alive = container.alive or container.ready
    # A sidecar's readiness waits for the app, which is not started before the sidecar has: so it is asked
    # whether it lives.
    starts = _SIDECAR_STARTS if container.is_sidecar else _STARTS
    found = {
        "startupProbe": {**_asked(alive, workload), **starts},
        "readinessProbe": {**_asked(container.ready, workload), **_READY},
    }
    if container.alive is not None:
        found["livenessProbe"] = {**_asked(container.alive, workload), **_LIVE}
    return found


def _asked(probe: Probe, workload: Workload) -> Object:
    port = workload.port(probe.port)
    match probe.kind:
        case "http":
            return {"httpGet": {"path": probe.path or "/", "port": port_name(port)}}
        case "grpc":
            return {"grpc": {"port": port.number}}
        case "tcp":
            return {"tcpSocket": {"port": port_name(port)}}
