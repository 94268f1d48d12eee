"""A repository on S3-compatible storage, served from a copy on this machine."""

import fcntl
import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from infermesh.errors import ConfigurationError
from infermesh.logs import ecs

from infermesh_servers.model.config import CheckedConfig
from infermesh_servers.model.private_directory import PrivateDirectory
from infermesh_servers.model.repository import ModelEntry, is_model_name, scan, scan_model
from infermesh_servers.model.s3.location import Location
from infermesh_servers.model.s3.mirror import Mirror
from infermesh_servers.model.s3.store import Store

_log = logging.getLogger(__name__)


class S3Repository:
    """See `infermesh_servers.model.repositories.Repository`.

    The copy is in a directory of its own below ``cache``, which stays for the next process, or without one in
    a temporary directory that goes with this process.
    """

    def __init__(self, location: Location, cache: Path | None, stop: Callable[[], bool]) -> None:
        self._location = location
        self._temporary: PrivateDirectory | None = None
        if cache is None:
            self._temporary = PrivateDirectory()
            self._root = self._temporary.path
        else:
            self._root = _folder(cache, location)
        self._lock = _hold(self._root)
        self._store = Store(location)
        self._mirror = Mirror(self._store, self._root, str(location), stop)

    def __str__(self) -> str:
        return str(self._location)

    def check(self) -> None:
        """See `Repository`."""
        self._store.check()

    def scan(self) -> dict[str, ModelEntry]:
        """See `Repository`."""
        problems = self._mirror.sync()
        found = scan(self._root)
        for name, problem in problems.items():
            found[name] = self._told(found.get(name), name, problem)
        return dict(sorted(found.items()))

    def find(self, name: str, override: CheckedConfig | None = None) -> ModelEntry | None:
        """See `Repository`."""
        if not is_model_name(name):
            return None
        policy = override.config.version_policy if override is not None else None
        problem = self._mirror.sync_model(name, policy)
        directory = self._root / name
        entry = scan_model(directory, name, override) if directory.is_dir() else None
        if problem is None:
            return entry
        # What was copied before is not what was asked for now.
        return replace(self._told(entry, name, problem), versions=(), problems=(problem,))

    def _told(self, entry: ModelEntry | None, name: str, problem: str) -> ModelEntry:
        """Return what was copied before, if anything, and say that it is no longer what is there."""
        if entry is None:
            return ModelEntry(name, self._root / name, None, None, (), (), problems=(problem,))
        _log.warning("%s; what was copied before is used", problem, extra=ecs("repository-unreadable"))
        return entry


def _folder(cache: Path, location: Location) -> Path:
    digest = hashlib.sha256(str(location).encode()).hexdigest()[:16]
    folder = cache / f"{location.bucket}-{digest}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--repository-cache {cache} cannot be used: {error}") from error
    return folder


def _hold(root: Path) -> object:
    """Lock a directory while the returned object lives: two processes would turn each other's links."""
    file = (root / ".lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise ConfigurationError(
            f"the repository cache {root} is used by another server",
            hint="give each server a --repository-cache of its own",
        ) from error
    return file
