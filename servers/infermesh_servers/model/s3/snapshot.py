"""One model's objects as a directory that is whole or not there.

::

    ROOT/NAME               a link to the snapshot that is current; turned in one step
    ROOT/.snapshots/NAME/
        DIGEST/             what the model's directory was, named after its objects' tags
        DIGEST.json         which object each file is

Files that did not change are the same files in the next snapshot (hard links), so nothing is copied or loaded
again for them. The snapshot before the current one is kept: what was loaded from it may still read it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from infermesh_servers.model.s3.store import StoredObject

SNAPSHOTS = ".snapshots"

#: Brings objects to files that are not there yet.
Bring = Callable[[list[tuple[StoredObject, Path]]], None]


class Snapshots:
    """The snapshots of one model; objects are named by their path in the model's directory."""

    def __init__(self, root: Path, name: str) -> None:
        self._link = root / name
        self._folder = root / SNAPSHOTS / name
        self._folder.mkdir(parents=True, exist_ok=True)

    def current(self) -> Path | None:
        """Return the current snapshot's directory, or None if there is none."""
        return self._folder / self._link.readlink().name if self._link.is_symlink() else None

    def file(self, wanted: StoredObject) -> Path | None:
        """Return the current snapshot's file of an object, if it is the same object still."""
        current = self.current()
        if current is None or self._objects(current).get(wanted.path) != (wanted.etag, wanted.size):
            return None
        return current / wanted.path

    def take(self, objects: Iterable[StoredObject], bring: Bring) -> None:
        """Make these objects the current snapshot; ``bring`` copies those that are not here already.

        Whatever it raises leaves the current snapshot as it was.
        """
        wanted = sorted(objects)
        directory = self._folder / _digest(wanted)
        if self.current() == directory:
            return
        if not directory.is_dir():
            self._build(directory, wanted, bring)
        before = self.current()
        link = self._folder / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(Path(SNAPSHOTS, self._link.name, directory.name))
        os.replace(link, self._link)
        self._forget(keep={directory, before})

    def drop(self) -> None:
        """The model is gone."""
        self._link.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _build(
        self,
        directory: Path,
        wanted: list[StoredObject],
        bring: Bring,
    ) -> None:
        part = self._folder / "part"
        shutil.rmtree(part, ignore_errors=True)
        missing = []
        for each in wanted:
            target = part / each.path
            target.parent.mkdir(parents=True, exist_ok=True)
            if (same := self.file(each)) is not None:
                os.link(same, target)
            else:
                missing.append((each, target))
        try:
            bring(missing)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        objects = {each.path: [each.etag, each.size] for each in wanted}
        directory.with_name(f"{directory.name}.json").write_text(json.dumps(objects))
        part.rename(directory)

    def _objects(self, directory: Path) -> dict[str, tuple[str, int]]:
        listed = json.loads(directory.with_name(f"{directory.name}.json").read_text())
        return {path: (etag, size) for path, (etag, size) in listed.items()}

    def _forget(self, keep: set[Path | None]) -> None:
        for directory in self._folder.iterdir():
            if directory not in keep and directory.is_dir():
                shutil.rmtree(directory, ignore_errors=True)
                directory.with_name(f"{directory.name}.json").unlink(missing_ok=True)


def names(root: Path) -> set[str]:
    """Return the models that have a current snapshot."""
    return {child.name for child in root.iterdir() if child.is_symlink()}


def _digest(objects: Iterable[StoredObject]) -> str:
    text = json.dumps([(each.path, each.etag, each.size) for each in objects])
    return hashlib.sha256(text.encode()).hexdigest()[:24]
