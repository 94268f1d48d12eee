"""Keeps a directory on this machine equal to a location."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path, PurePosixPath
from typing import Any

from infermesh.errors import ConfigurationError
from infermesh.proto.inference.model_config_pb2 import ModelVersionPolicy

from infermesh_servers.model.config import FILE_NAME, read_config
from infermesh_servers.model.repository import is_model_name, is_version
from infermesh_servers.model.s3 import snapshot
from infermesh_servers.model.s3.progress import Progress
from infermesh_servers.model.s3.snapshot import Snapshots
from infermesh_servers.model.s3.store import PARALLEL, ChangedError, ObjectError, Store, StoredObject
from infermesh_servers.model.version_policy import select

#: How often a model that changes while it is copied is listed anew.
ATTEMPTS = 3

#: Models that are looked at side by side; their objects share the copies that run at a time.
MODELS = 4


class Mirror:
    """``root`` holds one link for each model, to a directory as a repository has it.

    Raises ConfigurationError where the storage fails; what was copied before stays then. ``stop`` is asked
    all the while, so that a process told to end need not copy the rest first.
    """

    def __init__(self, store: Store, root: Path, source: str, stop: Callable[[], bool]) -> None:
        self._store = store
        self._root = root
        self._source = source
        self._stop = stop

    def sync(self) -> dict[str, str]:
        """Copy what changed, and drop models that are gone; returns why some could not be copied."""
        found = _by_model(self._store.list())
        for name in snapshot.names(self._root) - found.keys():
            Snapshots(self._root, name).drop()
        progress = Progress(self._source)
        with ThreadPoolExecutor(MODELS) as models, ThreadPoolExecutor(PARALLEL) as copies:
            jobs = {
                name: models.submit(self._model, name, objects, None, progress, copies)
                for name, objects in found.items()
            }
            _finish(list(jobs.values()))
        progress.finish()
        problems = {name: job.result() for name, job in jobs.items()}
        return {name: problem for name, problem in problems.items() if problem}

    def sync_model(self, name: str, policy: ModelVersionPolicy | None) -> str | None:
        """As ``sync``, for one model; ``policy`` takes the place of its own."""
        objects = _by_model(self._store.list(f"{name}/")).get(name)
        if objects is None:
            Snapshots(self._root, name).drop()
            return None
        progress = Progress(f"{self._source}/{name}")
        with ThreadPoolExecutor(PARALLEL) as copies:
            problem = self._model(name, objects, policy, progress, copies)
        progress.finish()
        return problem

    def _model(
        self,
        name: str,
        objects: list[StoredObject],
        policy: ModelVersionPolicy | None,
        progress: Progress,
        copies: ThreadPoolExecutor,
    ) -> str | None:
        snapshots = Snapshots(self._root, name)

        def bring(missing: list[tuple[StoredObject, Path]]) -> None:
            progress.expect(sum(each.size for each, _ in missing))
            jobs = [copies.submit(self._copy, name, each, target, progress) for each, target in missing]
            _finish(jobs)

        for _ in range(ATTEMPTS):
            try:
                snapshots.take(self._wanted(name, objects, policy, snapshots, progress), bring)
            except ChangedError:
                objects = _by_model(self._store.list(f"{name}/")).get(name, [])
            except ObjectError as error:
                return f"{self._source}/{error} cannot be copied"
            except OSError as error:
                return f"{self._source}/{name} cannot be copied: {error}"
            else:
                return None
        return f"{self._source}/{name} changed again and again while it was copied"

    def _wanted(
        self,
        name: str,
        objects: list[StoredObject],
        policy: ModelVersionPolicy | None,
        snapshots: Snapshots,
        progress: Progress,
    ) -> list[StoredObject]:
        """Return what the model's version policy leaves of its objects."""
        config = next((each for each in objects if each.path == FILE_NAME), None)
        if policy is None and config is not None:
            try:
                policy = self._policy(name, config, snapshots, progress)
            except ConfigurationError:
                # Whoever reads the file tells what is wrong with it; the rest would be of no use.
                return [config]
        versions = {int(top) for each in objects if is_version(top := each.path.split("/")[0])}
        chosen = {str(number) for number in select(policy or ModelVersionPolicy(), versions)}
        return [each for each in objects if not is_version(top := each.path.split("/")[0]) or top in chosen]

    def _policy(
        self, name: str, config: StoredObject, snapshots: Snapshots, progress: Progress
    ) -> ModelVersionPolicy:
        file = snapshots.file(config)
        if file is not None:
            return read_config(file, name).config.version_policy
        file = self._root / snapshot.SNAPSHOTS / name / FILE_NAME
        file.unlink(missing_ok=True)
        try:
            progress.expect(config.size)
            self._copy(name, config, file, progress)
            return read_config(file, name).config.version_policy
        finally:
            file.unlink(missing_ok=True)

    def _copy(self, name: str, source: StoredObject, target: Path, progress: Progress) -> None:
        def count(size: int) -> None:
            if self._stop():
                raise ConfigurationError(f"the copy of {self._source} was given up, as the process ends")
            progress.add(size)

        count(0)
        self._store.copy(StoredObject(f"{name}/{source.path}", source.etag, source.size), target, count)


def _finish(jobs: Sequence[Future[Any]]) -> None:
    """Wait until nothing runs any more; raises the first failure, for which the rest is given up."""
    wait(jobs, return_when=FIRST_EXCEPTION)
    for job in jobs:
        job.cancel()
    wait(jobs)
    for job in jobs:
        if not job.cancelled() and (error := job.exception()) is not None:
            raise error


def _by_model(objects: Iterable[StoredObject]) -> dict[str, list[StoredObject]]:
    """Sort objects by the model they belong to; what can be no file of a model is left out."""
    found: dict[str, list[StoredObject]] = {}
    for each in objects:
        name, _, path = each.path.partition("/")
        if is_model_name(name) and _is_file(path):
            found.setdefault(name, []).append(StoredObject(path, each.etag, each.size))
    return found


def _is_file(path: str) -> bool:
    # An object whose name ends with a slash marks a folder; one with dots would lead out of its own.
    parts = path.split("/")
    plain = all(part not in ("", ".", "..") and "\0" not in part for part in parts)
    return plain and PurePosixPath(path).parts == tuple(parts)
