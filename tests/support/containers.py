"""Container images and what runs of them: by buildah, podman and runc, in a storage of their own."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.process import Process

ROOT = Path(__file__).parents[2]
TOOLS = ("buildah", "podman", "runc", "mmdebstrap")

#: Where the machine keeps what certificates it trusts, whoever answers its downloads.
TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")
SOURCES = Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")


def missing() -> str | None:
    """What this machine lacks to build and run images."""
    if os.geteuid() != 0:
        return "needs root"
    if absent := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"needs {', '.join(absent)} (Debian: apt-get install {' '.join(absent)})"
    if "VERSION_CODENAME=bookworm" not in Path("/etc/os-release").read_text().splitlines():
        return "makes its base image of the machine's own packages, which have to be Debian 12's"
    if not list((ROOT / "dist").glob("*.whl")):
        return "needs wheels in dist/ (make wheels)"
    return None


class Images:
    """Images in one storage."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        settings = storage / "storage.conf"
        settings.write_text(
            f'[storage]\ndriver = "{_driver(storage)}"\n'
            f'graphroot = "{storage / "graph"}"\nrunroot = "{storage / "run"}"\n'
        )
        self._environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(settings)}

    def command(self, *words: str | Path, **environment: str) -> str:
        """What a command prints; it fails if that does."""
        done = subprocess.run(
            list(map(str, words)),
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**self._environment, **environment},
        )
        assert done.returncode == 0, f"{words}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def make_base(self, name: str) -> None:
        """Debian as a registry would have it, from where this machine takes its packages."""
        sources = next(file for file in SOURCES if file.exists())
        archive = self.storage / "base.tar"
        self.command("mmdebstrap", "--variant=apt", "--quiet", "bookworm", archive, sources)
        container = self.command("buildah", "from", "scratch").strip()
        self.command("buildah", "add", "--quiet", container, archive, "/")
        self.command("buildah", "commit", "--quiet", "--rm", container, name)
        archive.unlink()

    def build(self, base: str, *names: str) -> None:
        """As people build them."""
        self.command(
            ROOT / "mesh/images/build",
            *names,
            BASE=base,
            PREFIX="localhost/",
            TAG="test",
            PIP_CA=str(TRUSTED),
            BUILDAH_OPTIONS="--isolation chroot",
        )

    def inspect(self, image: str) -> Any:
        """All that is known of an image."""
        return json.loads(self.command("podman", "image", "inspect", image))[0]

    @contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """Its files."""
        yield Path(self.command("podman", "image", "mount", image).strip())
        self.command("podman", "image", "unmount", image)

    def run(self, image: str, name: str, *arguments: str, mounts: Sequence[tuple[Path, str]] = ()) -> Process:
        """A container as it would run in a cluster: nothing may be written but /tmp, nothing is allowed.

        A network of its own is more than some machines allow, so it listens on this one's loopback.
        """
        return Process(
            [
                *("env", f"CONTAINERS_STORAGE_CONF={self._environment['CONTAINERS_STORAGE_CONF']}"),
                *(
                    "podman",
                    "--runtime",
                    "runc",
                    "run",
                    "--rm",
                    "--name",
                    name,
                    "--no-healthcheck",
                    "--network",
                    "host",
                ),
                *("--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp", "--shm-size", "64m"),
                *("--cap-drop", "all", "--security-opt", "no-new-privileges"),
                # Podman's own are more than some machines give.
                *("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"),
                *(word for folder, place in mounts for word in ("--volume", f"{folder}:{place}")),
                image,
                *arguments,
            ]
        )

    def execute(self, name: str, *words: str) -> str:
        """What a command prints in a running container."""
        return self.command("podman", "--runtime", "runc", "exec", name, *words)

    def remove(self) -> None:
        """All of it."""
        self.command("podman", "rm", "--force", "--all")
        self.command("podman", "image", "unmount", "--all", "--force")
        self.command("buildah", "rm", "--all")
        subprocess.run(["umount", self.storage / "graph/overlay"], check=False, capture_output=True)
        shutil.rmtree(self.storage)


def _driver(storage: Path) -> str:
    """Layers over each other where the system can do that; else copies of them, which takes minutes."""
    with tempfile.TemporaryDirectory(dir=storage) as folder:
        for name in ("lower", "upper", "work", "whole"):
            (Path(folder) / name).mkdir()
        options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, f"{folder}/whole"]
        if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
            return "vfs"
        subprocess.run(["umount", f"{folder}/whole"], check=True)
    return "overlay"


def normal(name: str) -> str:
    """A Python distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
