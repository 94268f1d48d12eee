"""What Kubernetes and the projects of its custom resources say of their objects; unknown fields are mistakes.

Core objects are held to the schemas of the package kubernetes-validate. Those of other projects are in a
folder that INFERMESH_CRD_SCHEMAS names, as GROUP/KIND_VERSION.json.
"""

import json
import os
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

VARIABLE = "INFERMESH_CRD_SCHEMAS"

#: Of no group, or of those that Kubernetes itself brings.
_CORE = ("", "apps", "batch", "policy", "autoscaling")

#: What cert-manager's schemas would be needed for.
_UNKNOWN = ("cert-manager.io",)


def missing_core() -> str | None:
    """Why core objects cannot be validated."""
    return None if find_spec("kubernetes_validate") else "kubernetes-validate is not installed"


def missing_custom() -> str | None:
    """Why custom resources cannot be validated."""
    folder = os.environ.get(VARIABLE)
    return None if folder and Path(folder).is_dir() else f"{VARIABLE} names no folder of CRD schemas"


def core_mistakes(objects: Iterable[dict[str, Any]]) -> list[str]:
    """Of objects that Kubernetes has by itself; others are passed over."""
    package = import_module("kubernetes_validate")
    found = []
    for it in objects:
        if _is_core(it):
            try:
                package.validate(it, package.latest_version(), strict=True)
            except (package.ValidationError, package.SchemaNotFoundError) as error:
                found.append(f"{_named(it)}: {error}")
    return found


def custom_mistakes(objects: Iterable[dict[str, Any]]) -> list[str]:
    """Of objects of others, those of cert-manager left out; a kind that has no schema is a mistake."""
    return [f"{_named(it)}: {text}" for it in objects if _is_custom(it) for text in _custom(it)]


def _is_core(it: dict[str, Any]) -> bool:
    group = _group(it)
    return group in _CORE or (group.endswith(".k8s.io") and group != "gateway.networking.k8s.io")


def _is_custom(it: dict[str, Any]) -> bool:
    return not _is_core(it) and _group(it) not in _UNKNOWN


def _custom(it: dict[str, Any]) -> Iterator[str]:
    version = it["apiVersion"].rpartition("/")[2]
    path = Path(os.environ[VARIABLE]) / _group(it) / f"{it['kind']}_{version}.json"
    if not path.exists():
        yield f"{it['apiVersion']} has no such kind"
        return
    for error in _validator(path).iter_errors(it):
        yield f"{error.json_path}: {error.message[:200]}"


@cache
def _validator(path: Path) -> Draft202012Validator:
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def _group(it: dict[str, Any]) -> str:
    return str(it["apiVersion"]).rpartition("/")[0]


def _named(it: dict[str, Any]) -> str:
    return f"{it['kind']} {it['metadata']['name']}"
