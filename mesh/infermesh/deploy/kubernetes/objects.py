"""Kubernetes objects, as the mappings that they are written as."""

from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

#: An annotation that names what mesh.yaml asks for and the object cannot say.
NOT_KEPT = "infermesh/not-kept"


def labels(name: str) -> dict[str, str]:
    """What all objects of one workload carry, and its Pods are chosen by."""
    return {"app.kubernetes.io/name": name}


def made(
    api: str,
    kind: str,
    name: str,
    namespace: str | None,
    marks: Mapping[str, Mapping[str, str]] | None = None,
) -> Object:
    """An object that has a name and as yet nothing else; `marks` are labels and annotations, if any."""
    given = {mark: dict(values) for mark, values in (marks or {}).items() if values}
    where = {} if namespace is None else {"namespace": namespace}
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, **where, **given}}


def made_for(
    api: str,
    kind: str,
    workload: str,
    namespace: str,
    annotations: Mapping[str, str] | None = None,
    *,
    name: str | None = None,
) -> Object:
    """An object that belongs to a workload, by its labels; and by its name, unless it has another."""
    marks = {"labels": labels(workload), "annotations": annotations or {}}
    return made(api, kind, name or workload, namespace, marks)
