"""Where models come from: one repository or several, on this machine or elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from infermesh.errors import ConfigurationError

from infermesh_servers.model.config import CheckedConfig
from infermesh_servers.model.repository import ModelEntry, is_model_name, scan, scan_model
from infermesh_servers.model.s3.location import SCHEME, Location


class Repository(Protocol):
    """Models by name. Every method raises ConfigurationError if the repository cannot be read."""

    def check(self) -> None:
        """Find out, in little time, whether there is a repository at all."""

    def scan(self) -> dict[str, ModelEntry]:
        """Return every model as it is now."""

    def find(self, name: str, override: CheckedConfig | None = None) -> ModelEntry | None:
        """Return one model as it is now; None if there is none of this name.

        ``override`` takes the place of its own configuration.
        """


class LocalRepository:
    """A directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def check(self) -> None:
        """See `Repository`."""
        scan(self._root)

    def scan(self) -> dict[str, ModelEntry]:
        """See `Repository`."""
        return scan(self._root)

    def find(self, name: str, override: CheckedConfig | None = None) -> ModelEntry | None:
        """See `Repository`."""
        directory = self._root / name
        if not is_model_name(name) or not directory.is_dir():
            return None
        return scan_model(directory, name, override)


class Repositories:
    """Several as one; a model that more than one of them holds cannot be loaded."""

    def __init__(self, repositories: Sequence[Repository]) -> None:
        self._repositories = tuple(repositories)

    def __str__(self) -> str:
        return ", ".join(map(str, self._repositories))

    def check(self) -> None:
        """See `Repository`."""
        for repository in self._repositories:
            repository.check()

    def scan(self) -> dict[str, ModelEntry]:
        """See `Repository`."""
        found: dict[str, list[ModelEntry]] = {}
        for repository in self._repositories:
            for name, entry in repository.scan().items():
                found.setdefault(name, []).append(entry)
        return {name: _only(found[name]) for name in sorted(found)}

    def find(self, name: str, override: CheckedConfig | None = None) -> ModelEntry | None:
        """See `Repository`."""
        found = [entry for each in self._repositories if (entry := each.find(name, override)) is not None]
        return _only(found) if found else None


def _only(entries: Sequence[ModelEntry]) -> ModelEntry:
    first, *others = entries
    if not others:
        return first
    places = " and ".join(str(entry.directory) for entry in entries)
    problem = f"found the model '{first.name}' in {places}, expected it in one repository"
    return replace(first, versions=(), problems=(problem,))


def open_repositories(
    locations: Sequence[str], cache: Path | None = None, stop: Callable[[], bool] = lambda: False
) -> Repository:
    """Return what the command line names; raises ConfigurationError for what cannot be understood.

    ``cache`` keeps copies of what is elsewhere; ``stop`` is asked while they are made.
    """
    if len(set(locations)) < len(locations):
        twice = next(location for location in locations if locations.count(location) > 1)
        raise ConfigurationError(f"the model repository {twice} was given twice", hint="name each once")
    repositories = [_open(location, cache, stop) for location in locations]
    return repositories[0] if len(repositories) == 1 else Repositories(repositories)


def _open(location: str, cache: Path | None, stop: Callable[[], bool]) -> Repository:
    scheme, separator, _ = location.partition("://")
    if not separator:
        return LocalRepository(Path(location))
    if location.startswith(SCHEME):
        # A server of local models need not import it.
        from infermesh_servers.model.s3.repository import S3Repository

        return S3Repository(Location.parse(location), cache, stop)
    raise ConfigurationError(
        f"the model repository {location} is on storage of the kind {scheme}, expected a directory or s3://",
        hint="mount it as a directory, or use its S3-compatible interface",
    )
