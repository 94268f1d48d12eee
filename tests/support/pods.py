"""Containers of rendered Pods as processes: they find what kubelet mounts, and cannot write to their root."""

import datetime
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from infermesh.identity import store
from infermesh.identity.authority import Authority
from infermesh.identity.request import Request

from support.namespaces import Machine
from support.process import Process

#: The first argument is the folder with what is mounted; the others are what is run.
_SCRIPT = """
set -e
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /run
mkdir -p /run/infermesh/identity /var/lib/infermesh/models
mount --bind "$1/etc" /etc
mount --bind "$1/identity" /run/infermesh/identity
mount --bind "$1/models" /var/lib/infermesh/models
shift
mount -o remount,bind,ro /
mount -t tmpfs tmpfs /tmp
exec "$@"
"""


class PodFolder:
    """What is mounted into a Pod."""

    def __init__(self, folder: Path, authority: Authority, name: str, hosts: str) -> None:
        self._folder = folder
        issued = authority.issue(Request.of(authority.trust_domain, name, []), _now())
        store.save_identity(folder / "identity", issued, authority)
        for part in ("models", "etc/infermesh"):
            (folder / part).mkdir(parents=True)
        (folder / "etc/hosts").write_text(f"127.0.0.1 localhost\n{hosts}\n", encoding="utf-8")
        (folder / "etc/nsswitch.conf").write_text("hosts: files\n", encoding="utf-8")

    @property
    def identity(self) -> Path:
        """The folder of its identity."""
        return self._folder / "identity"

    @property
    def models(self) -> Path:
        """The folder that is mounted for `models`."""
        return self._folder / "models"

    def add_file(self, file: Path) -> None:
        """A file of its ConfigMap."""
        (self._folder / "etc/infermesh" / file.name).write_bytes(file.read_bytes())

    def run(self, machine: Machine, arguments: Sequence[str]) -> Process:
        """Start a container of infermesh there, with its `args`."""
        within = [*machine.within, "unshare", "--mount", "--propagation", "private"]
        command = [sys.executable, "-m", "infermesh", *arguments]
        return Process([*within, "sh", "-c", _SCRIPT, "sh", self._folder, *command])


def may_mount() -> bool:
    """Whether a process here may have mounts of its own."""
    try:
        return subprocess.run(["unshare", "--mount", "true"], capture_output=True, timeout=30).returncode == 0
    except FileNotFoundError:
        return False


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
