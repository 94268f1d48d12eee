"""Folders of this machine in a cluster: volumes that operators fill."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from infermesh.deploy.kubernetes.objects import Object, made

_GIB = 1 << 30

#: A Kubernetes name has 63 characters at most, and the digest takes nine of them.
_LONGEST = 48


def mount_path(given: str) -> str:
    """Where a folder is mounted."""
    return f"/var/lib/infermesh/{_slug(given)}"


def folder_name(given: str) -> str:
    """The folder in its volume: what is at the root of one may not be all of the operators' (lost+found)."""
    return _slug(given)


def volume_name(given: str) -> str:
    """What its volume is called, and the claim of it."""
    return f"data-{_slug(given)}"


def claims(folder: Path, folders: Mapping[str, str], namespace: str) -> Iterator[Object]:
    """One for each folder that is read, by its name, with room for twice what is in it here."""
    for name, path in folders.items():
        claim = made("v1", "PersistentVolumeClaim", name, namespace)
        claim["metadata"]["annotations"] = {"infermesh/fill-with": path}
        claim["spec"] = {
            # Filled by one, read by all: Pods mount it read-only.
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": f"{_gibibytes(folder / path)}Gi"}},
        }
        yield claim


def _slug(given: str) -> str:
    """The last part of the path; what distinguishes it from others of the same end is in a digest."""
    last = PurePosixPath(given).name
    name = re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")[:_LONGEST].rstrip("-") or "folder"
    normal = str(PurePosixPath(given))
    return name if normal == name else f"{name}-{hashlib.sha256(normal.encode()).hexdigest()[:8]}"


def _gibibytes(folder: Path) -> int:
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return max(1, -(-2 * size // _GIB))
