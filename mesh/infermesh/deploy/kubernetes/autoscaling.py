"""More of a workload under load: of apps by CPU, of model servers by how long requests queue.

Queue time says when there are too few, and nothing of how many there are too many: it is next to nothing
until shortly before a server is full. So servers are kept by a second trigger, which remembers what one
was seen to answer at most while requests queued, and keeps as many as the present load needs by that.
"""

from collections.abc import Iterator
from datetime import timedelta

from infermesh.deploy.kubernetes.durations import milliseconds, seconds
from infermesh.deploy.kubernetes.objects import Object, made_for
from infermesh.deploy.kubernetes.unplaced_containers import first_container
from infermesh.description.placement import Autoscale
from infermesh.description.workload import METRICS, Workload

#: Share of its CPU that an app may use.
CPU_SHARE = 0.7

#: Share of what one server was seen to answer that is planned with.
ANSWER_SHARE = 0.8

#: Of Prometheus: some scrapes, so that one that is missed does not matter.
WINDOW = "1m"

#: Seconds between two looks; as often as Kubernetes decides.
POLLING = 15

#: How far back is looked for what one answered: as closely as is decided, or a short queue is missed.
MEMORY = f"6h:{POLLING}s"

#: A server asks for so many in its place at most, however long its queue. By then it is full, the length says
#: only for how long; and those that are started for it need a minute until they count.
ASKED_AT_MOST = 2


def objects(workload: Workload, namespace: str) -> Iterator[Object]:
    """What scales it, if mesh.yaml says so."""
    scale = workload.placement.autoscale
    if scale is None:
        return
    if workload.has_port(METRICS):
        yield _by_queue(workload, scale, namespace)
    else:
        yield _by_cpu(workload, scale, namespace)


def _by_cpu(workload: Workload, scale: Autoscale, namespace: str) -> Object:
    """By an absolute value: a share would need that the container requests CPU."""
    cores = _cores(workload.placement.cpu or "1") * CPU_SHARE
    target = {"type": "AverageValue", "averageValue": f"{round(cores * 1000)}m"}
    scaler = made_for("autoscaling/v2", "HorizontalPodAutoscaler", workload.name, namespace)
    scaler["spec"] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name},
        "minReplicas": scale.min,
        "maxReplicas": scale.max,
        "metrics": [
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "cpu",
                    "container": first_container(workload).name,
                    "target": target,
                },
            }
        ],
        "behavior": _behavior(scale.calm),
    }
    return scaler


def _by_queue(workload: Workload, scale: Autoscale, namespace: str) -> Object:
    threshold = milliseconds(scale.queue)
    scaler = made_for("keda.sh/v1alpha1", "ScaledObject", workload.name, namespace)
    scaler["spec"] = {
        "scaleTargetRef": {"name": workload.name},
        "minReplicaCount": scale.min,
        "maxReplicaCount": scale.max,
        "pollingInterval": POLLING,
        # Without metrics nobody is ended.
        "fallback": {"failureThreshold": 3, "replicas": scale.min, "behavior": "currentReplicasIfHigher"},
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(scale.calm)}},
        "triggers": [
            _trigger(
                "queue",
                scale,
                queue_query(workload.name, namespace, threshold),
                str(threshold),
                or_zero=False,
            ),
            # Empty until requests have queued for the first time.
            _trigger("load", scale, load_query(workload.name, namespace, threshold), "1", or_zero=True),
        ],
    }
    return scaler


def _trigger(name: str, scale: Autoscale, query: str, threshold: str, *, or_zero: bool) -> Object:
    return {
        "type": "prometheus",
        "name": name,
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": scale.prometheus,
            "query": query,
            "threshold": threshold,
            "ignoreNullValues": str(or_zero).lower(),
        },
    }


def queue_query(name: str, namespace: str, threshold: int) -> str:
    """Milliseconds that requests wait on average, of each Pod, added up; nothing without metrics."""
    queue = f"clamp_max({_queue(name, namespace)}, {threshold * ASKED_AT_MOST})"
    return f"sum({queue} or {_answers(name, namespace)} * 0)"


def load_query(name: str, namespace: str, threshold: int) -> str:
    """How many are needed: all that is answered, over what one was seen to answer while requests queued."""
    full = f"{_answers(name, namespace)} and on (pod) {_queue(name, namespace)} > {threshold}"
    most = f"max_over_time(max({full})[{MEMORY}])"
    return f"sum({_answers(name, namespace)}) / {most} / {ANSWER_SHARE}"


def _queue(name: str, namespace: str) -> str:
    waited = f"sum by (pod) (rate(nv_inference_queue_duration_us{_of(name, namespace)}[{WINDOW}]))"
    return f"{waited} / ({_answers(name, namespace)} > 0) / 1000"


def _answers(name: str, namespace: str) -> str:
    return f"sum by (pod) (rate(nv_inference_request_success{_of(name, namespace)}[{WINDOW}]))"


def _of(name: str, namespace: str) -> str:
    """The Pods of a Deployment: its name, the hash of its template, and one of theirs."""
    return f'{{namespace="{namespace}",pod=~"{name}-[^-]+-[^-]+"}}'


def _behavior(calm: timedelta) -> Object:
    """One, or a tenth of them, is ended in so long a time. More are started as Kubernetes does by itself."""
    period = seconds(calm)
    return {
        "scaleDown": {
            "stabilizationWindowSeconds": period,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": 10, "periodSeconds": period},
                {"type": "Pods", "value": 1, "periodSeconds": period},
            ],
        }
    }


def _cores(cpu: str) -> float:
    return float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
