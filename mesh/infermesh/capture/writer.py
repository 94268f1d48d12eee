"""Appends records to files that are rotated by size and age; the oldest are deleted when all together are
too large.

What is on disk: each ``write`` reaches the operating system before it returns, so the end of this process
loses nothing. A file is synced, and its directory, when it is complete, before and after it gets its final
name: what is called ``.capture`` survives a power failure whole. The file that is still open may lose its
end then, and no more; syncing each write would cost a disk its throughput for a sample that may lose
records anyway.

Payloads may be personal data: files can be read by their owner alone.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from infermesh.capture.files import COMPLETE, OPEN, CaptureError, complete_files, framed, records
from infermesh.errors import ConfigurationError

#: Names that are taken are few: those of writers that begin in the same microsecond.
_ATTEMPTS = 100


@dataclass(frozen=True)
class Rotation:
    """When a file is complete, and how much all of them may take.

    Raises ConfigurationError for limits that contradict each other.
    """

    max_file_bytes: int = 64 << 20
    max_file_age_seconds: float = 300.0
    #: Of all files in the directory, those of other writers included.
    max_total_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        if self.max_file_bytes < 1:
            raise ConfigurationError(f"max_file_bytes: found {self.max_file_bytes}, expected at least 1")
        if self.max_file_age_seconds <= 0:
            raise ConfigurationError(
                f"max_file_age_seconds: found {self.max_file_age_seconds:g}, expected more than 0"
            )
        if self.max_total_bytes < self.max_file_bytes:
            raise ConfigurationError(
                f"max_total_bytes: found {self.max_total_bytes}, expected max_file_bytes at least"
            )


class CaptureWriter:
    """Writes into one directory, which other writers may share. Not for several threads."""

    def __init__(
        self,
        directory: Path,
        rotation: Rotation | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Make the directory if need be, and complete what a writer that died left open.

        ``clock`` tells how old a file is, in seconds, ``now`` is for its name. Raises CaptureError if the
        directory cannot be used.
        """
        self._directory = directory
        self._rotation = rotation or Rotation()
        self._clock = clock
        self._now = now
        self._file: _OpenFile | None = None
        #: Records that did not fit into all the files there may be.
        self.dropped = 0
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in sorted(directory.glob("*" + OPEN)):
                _adopt(path)
        except OSError as error:
            raise CaptureError(f"{directory}: captures cannot be written there: {error}") from error

    def write(self, batch: Iterable[bytes]) -> None:
        """Append serialised records, each whole or not at all.

        Raises CaptureError if the disk is full or broken: records up to then are kept, the rest is lost,
        and the next call tries again.
        """
        try:
            for chunk in self._chunks(batch):
                self._append(chunk)
            self.rotate_if_due()
        except OSError as error:
            raise CaptureError(f"{self._directory}: captures cannot be written: {error}") from error

    def rotate_if_due(self) -> None:
        """Complete the file if it is old enough: to be called where no records come, too."""
        if self._file is not None and self._age(self._file) >= self._rotation.max_file_age_seconds:
            self._complete()

    def close(self) -> None:
        """Complete the file. The writer can be used again."""
        if self._file is not None:
            self._complete()

    def __enter__(self) -> "CaptureWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _chunks(self, batch: Iterable[bytes]) -> Iterable[bytes]:
        """Join records to what one write takes: as many as one file has room for."""
        chunk = bytearray()
        limit = self._rotation.max_file_bytes
        for record in map(framed, batch):
            if len(record) > self._rotation.max_total_bytes:
                self.dropped += 1
                continue
            used = self._file.size if self._file is not None else 0
            if chunk and used + len(chunk) + len(record) > limit:
                yield bytes(chunk)
                chunk.clear()
            chunk += record
        if chunk:
            yield bytes(chunk)

    def _append(self, chunk: bytes) -> None:
        rotation = self._rotation
        if self._file is not None and (
            self._file.size + len(chunk) > rotation.max_file_bytes
            or self._age(self._file) >= rotation.max_file_age_seconds
        ):
            self._complete()
        self._make_room(len(chunk))
        if self._file is None:
            self._file = _OpenFile.create(self._directory, self._now(), self._clock())
        self._file.append(chunk)

    def _make_room(self, count: int) -> None:
        """Delete the oldest files until so many bytes more are within the limit."""
        files = [
            (path, size) for path in complete_files(self._directory) if (size := _size(path)) is not None
        ]
        opened = sum(_size(path) or 0 for path in self._directory.glob("*" + OPEN))
        total = sum(size for _, size in files) + opened + count
        for path, size in files:
            if total <= self._rotation.max_total_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _complete(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.complete()

    def _age(self, file: "_OpenFile") -> float:
        return self._clock() - file.since


class _OpenFile:
    """A file that is being written; locked, so that nobody takes it for abandoned."""

    def __init__(self, path: Path, descriptor: int, size: int, since: float) -> None:
        self.path = path
        self.size = size
        self.since = since
        self._descriptor = descriptor

    @classmethod
    def create(cls, directory: Path, now: datetime, since: float) -> "_OpenFile":
        for attempt in range(_ATTEMPTS):
            path = directory / f"{now:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}-{attempt}{OPEN}"
            if path.with_suffix(COMPLETE).exists():
                continue
            with suppress(FileExistsError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
                descriptor = os.open(path, flags, 0o600)
                # Before it was locked, another writer may have taken it for one that was left behind.
                if _lock(descriptor, path):
                    return cls(path, descriptor, 0, since)
                os.close(descriptor)
        raise FileExistsError(f"{directory} has {_ATTEMPTS} files of this moment")

    def append(self, chunk: bytes) -> None:
        """Append all of it, or nothing."""
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(chunk)

    def complete(self) -> None:
        """Make it last and give it its final name; an empty one is deleted."""
        try:
            if self.size == 0:
                self.path.unlink(missing_ok=True)
                return
            os.fsync(self._descriptor)
            self.path.rename(self.path.with_suffix(COMPLETE))
        finally:
            os.close(self._descriptor)
        _sync_directory(self.path.parent)


def _adopt(path: Path) -> None:
    """Complete the file of a writer that died: whole records stay, a cut one goes."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not _lock(descriptor, path):
        os.close(descriptor)
        return
    size = _whole_records(descriptor)
    os.ftruncate(descriptor, size)
    _OpenFile(path, descriptor, size, 0.0).complete()


def _lock(descriptor: int, path: Path) -> bool:
    """Return whether the file is ours now, and still the one of this name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def _whole_records(descriptor: int) -> int:
    """Return where the last whole record of a file ends."""
    end = 0
    with open(descriptor, "rb", closefd=False) as file, suppress(CaptureError):
        for last, _ in records(file):
            end = last
    return end


def _size(path: Path) -> int | None:
    """Return a file's size; None if another writer has deleted it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
