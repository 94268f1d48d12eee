"""Podman with a store of its own, and an image that is this machine's Python: nothing is downloaded."""

import io
import os
import resource
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from support.process import Process

#: What images of infermesh are called here.
IMAGES = "localhost/infermesh"

SECONDS = 180

#: Folders of an image that are there from the beginning, so that those of the machine can be mounted.
_FOLDERS = ("etc", "mnt", "proc", "run", "sys", "dev", "tmp", "usr", "root")
_LINKS = ("bin", "lib", "lib64", "sbin")


class Podman:
    """One store. Containers of it run as Docker would run them, but for what this machine forbids."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/graph"\n'
        )
        # Podman's own limits are above what an unprivileged machine may set.
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        processes = min(resource.getrlimit(resource.RLIMIT_NPROC)[1], 10_000)
        (folder / "containers.conf").write_text(
            f'[containers]\ndefault_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]\n'
            # crun refuses the mixture of cgroups v1 and v2 that some machines have.
            '[engine]\nevents_logger = "file"\nruntime = "runc"\n'
        )
        self.environment = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
        }

    def __call__(self, *arguments: object, given: bytes = b"", seconds: float = SECONDS) -> str:
        """What a command of podman writes; raises AssertionError if it fails."""
        done = self.run(*arguments, given=given, seconds=seconds)
        assert done.returncode == 0, f"podman {arguments}: {done.stderr.decode()}"
        return done.stdout.decode().strip()

    def run(
        self, *arguments: object, given: bytes = b"", seconds: float = SECONDS
    ) -> subprocess.CompletedProcess[bytes]:
        """The same, whether it fails or not."""
        command = ["podman", *map(str, arguments)]
        return subprocess.run(
            command, input=given, capture_output=True, timeout=seconds, env=self.environment, check=False
        )

    def image(self, name: str, entrypoint: Sequence[str], user: int = 0) -> None:
        """Make an image that starts so; what it runs is mounted from the machine: `mounts`."""
        command = ", ".join(f'"{word}"' for word in entrypoint)
        changes = [f"ENTRYPOINT [{command}]", f"ENV PATH={sys.prefix}/bin:/usr/bin:/bin", f"USER {user}"]
        self("import", *(f"--change={change}" for change in changes), "-", name, given=_skeleton())

    def follow(self, container: str) -> Process:
        """What a container logs, from its start to its end."""
        mine = {it: self.environment[it] for it in ("CONTAINERS_STORAGE_CONF", "CONTAINERS_CONF")}
        named = [f"{name}={value}" for name, value in mine.items()]
        return Process(["env", *named, "podman", "logs", "--follow", container])

    def close(self) -> None:
        """Remove everything."""
        self.run("rm", "--all", "--force", "--time", 0)
        shutil.rmtree(self._folder, ignore_errors=True)


def mounts() -> list[str]:
    """The machine's folders that Python needs, where they are."""
    wanted = {Path("/usr"), *map(Path, (sys.prefix, sys.base_prefix)), *map(Path, sys.path)}
    folders = sorted(it for it in wanted if it.is_absolute() and it.is_dir())
    return [str(it) for it in folders if not any(other in it.parents for other in folders)]


@cache
def missing(*programs: str) -> str | None:
    """Why containers cannot be run here; None if they can."""
    # Debian keeps there what podman alone calls.
    path = f"{os.environ['PATH']}:/usr/lib/podman"
    if absent := [it for it in ("podman", *programs) if shutil.which(it, path=path) is None]:
        return f"not installed: {', '.join(absent)}"
    return None if os.geteuid() == 0 else "networks of containers need root here"


def _skeleton() -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name in _FOLDERS:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(folder)
        for name in _LINKS:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            archive.addfile(link)
    return written.getvalue()
