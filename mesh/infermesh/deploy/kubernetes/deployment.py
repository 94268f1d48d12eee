"""Deployments, and what stands beside each: the account it runs as, and how many may be away at a time."""

from collections.abc import Sequence

from infermesh.deploy.kubernetes.flavour import Flavour
from infermesh.deploy.kubernetes.objects import Object, labels, made_for
from infermesh.deploy.kubernetes.place import PodPlace
from infermesh.deploy.kubernetes.pod import pod_template
from infermesh.description.workload import Container, Workload


def service_account(workload: Workload, namespace: str) -> Object:
    """Who its Pods are."""
    account = made_for("v1", "ServiceAccount", workload.name, namespace)
    return {**account, "automountServiceAccountToken": False}


def deployment(containers: Sequence[Container], place: PodPlace, namespace: str, flavour: Flavour) -> Object:
    """The Pods of a workload, and how they are replaced."""
    workload = place.workload
    found = made_for("apps/v1", "Deployment", workload.name, namespace)
    # Whoever scales it owns the number.
    replicas = {} if workload.placement.autoscale else {"replicas": workload.placement.replicas}
    found["spec"] = {
        **replicas,
        "revisionHistoryLimit": 5,
        # No longer than kubelet waits for a start.
        "progressDeadlineSeconds": 900,
        "selector": {"matchLabels": labels(workload.name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": _replaced(workload)},
        "template": pod_template(containers, place, flavour),
    }
    return found


def disruption_budget(workload: Workload, namespace: str) -> Object:
    """One at a time, of one alone too: a budget that allows none keeps a node from ever being emptied."""
    found = made_for("policy/v1", "PodDisruptionBudget", workload.name, namespace)
    found["spec"] = {
        "maxUnavailable": 1,
        # What is not ready serves nobody, and may go.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": labels(workload.name)},
    }
    return found


def _replaced(workload: Workload) -> Object:
    # There is seldom a GPU to spare, and a Pod that waits for one would wait for those it replaces.
    return (
        {"maxSurge": 0, "maxUnavailable": 1}
        if workload.placement.gpu
        else {"maxSurge": 1, "maxUnavailable": 0}
    )
