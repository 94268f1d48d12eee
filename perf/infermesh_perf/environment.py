"""Gives each peer a Python environment of its own, filled from its lock file."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from infermesh_perf.errors import SetupError

VERSIONS = """
import importlib.metadata, json
print(json.dumps({each.name: each.version for each in importlib.metadata.distributions()}))
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment in `directory/venv` that holds exactly what the lock file `lock` names."""

    directory: Path
    lock: Path

    @property
    def binaries(self) -> Path:
        """Where its interpreter and commands are."""
        return self.directory / "venv" / "bin"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.binaries / "python"

    @cached_property
    def packages(self) -> Path:
        """Its site-packages directory."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.directory / "venv" / "lib" / version / "site-packages"

    @property
    def installed(self) -> bool:
        """Whether it was filled from the lock file as that is now, with this interpreter's version."""
        return self._stamp.exists() and self._stamp.read_text() == self._wanted()

    def install(self) -> None:
        """Makes the environment anew unless it is installed already; hashes are required.

        Raises SetupError when the lock file is missing or a package cannot be installed.
        """
        wanted = self._wanted()
        if self.installed:
            return
        shutil.rmtree(self.directory / "venv", ignore_errors=True)
        self._stamp.unlink(missing_ok=True)
        uv = Path(sys.executable).parent / "uv"
        make = [sys.executable, "-m", "venv", *(["--without-pip"] if uv.exists() else [])]
        self._run([*make, str(self.directory / "venv")])
        if uv.exists():
            pip = [str(uv), "pip", "install", "--quiet", "--python", str(self.python)]
        else:
            pip = [str(self.python), "-m", "pip", "install", "--quiet"]
        # What the lock leaves out of a package's own dependencies is not wanted.
        self._run([*pip, "--no-deps", "--require-hashes", "-r", str(self.lock)])
        self._stamp.write_text(wanted)

    def versions(self, *names: str) -> dict[str, str]:
        """The versions of the named packages and of the interpreter."""
        listed = json.loads(subprocess.check_output([str(self.python), "-c", VERSIONS], text=True))
        installed = {name.lower(): version for name, version in listed.items()}
        python = ".".join(str(part) for part in sys.version_info[:3])
        return {"python": python, **{name: installed.get(name, "none") for name in names}}

    @property
    def _stamp(self) -> Path:
        return self.directory / "installed"

    def _wanted(self) -> str:
        if not self.lock.exists():
            raise SetupError(f"{self.lock} is missing: run this from the root of the repository")
        digest = hashlib.sha256(self.lock.read_bytes()).hexdigest()
        return f"{sys.version_info.major}.{sys.version_info.minor} {digest}\n"

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise SetupError(f"{self.directory.name} could not be installed:\n{done.stderr.strip()[-2000:]}")
