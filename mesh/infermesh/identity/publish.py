"""Files that are replaced together: whoever reads them sees those of one time.

As kubelet does with a Secret: each name is a link to ``..data/NAME``, and ``..data`` is a link to a folder
that is never changed. New files are written to a new folder, and ``..data`` is swapped by one rename. Who
follows ``..data`` once (``layout.read_together``) never gets a key of another certificate; who opens names
one by one may, if the swap is between two of them, and finds them right at the next look.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from infermesh.errors import InfermeshError
from infermesh.identity.layout import CURRENT

_GENERATION = "..generation-"
_NEXT = "..next"


def publish(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace the files of a folder, which is made if need be, by these; readable by their owner alone.

    Raises InfermeshError if a name is taken by something else, if another process is writing, or if they
    cannot be written; what was there is as it was then.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(folder):
            _refuse_others_files(folder, files)
            before = _target(folder)
            generation = _write(folder, files)
            _link(folder, generation.name, CURRENT)
            for name in files:
                if not (folder / name).is_symlink():
                    _link(folder, f"{CURRENT}/{name}", name)
            # Whoever has just followed the link to the files before these may read on.
            _remove_but(folder, {generation.name, before})
    except OSError as error:
        raise InfermeshError(f"cannot write {error.filename or folder}: {error.strerror}") from error


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InfermeshError(
                f"another process is writing {folder} right now",
                hint="let one process write to a folder: another one may run with --watch",
            ) from error
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_others_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name in files:
        path = folder / name
        taken = path.exists() or path.is_symlink()
        if taken and not (path.is_symlink() and str(path.readlink()) == f"{CURRENT}/{name}"):
            raise InfermeshError(
                f"{path} is there and was not written by infermesh identity",
                hint="name another folder, or remove that file if nobody needs it",
            )


def _target(folder: Path) -> str:
    current = folder / CURRENT
    return str(current.readlink()) if current.is_symlink() else ""


def _write(folder: Path, files: Mapping[str, bytes]) -> Path:
    generation = Path(tempfile.mkdtemp(prefix=_GENERATION, dir=folder))
    try:
        for name, contents in files.items():
            descriptor = os.open(generation / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(contents)
                file.flush()
                os.fsync(descriptor)
    except BaseException:
        shutil.rmtree(generation, ignore_errors=True)
        raise
    return generation


def _link(folder: Path, target: str, name: str) -> None:
    """One rename: the name is never missing and never half made."""
    following = folder / _NEXT
    following.unlink(missing_ok=True)
    following.symlink_to(target)
    following.replace(folder / name)


def _remove_but(folder: Path, kept: set[str]) -> None:
    for path in folder.glob(f"{_GENERATION}*"):
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
