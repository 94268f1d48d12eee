"""Yields captured requests with their answers, the oldest first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from infermesh.capture.files import COMPLETE, OPEN, CaptureError, complete_files, records
from infermesh.proto.infermesh_capture_v1.capture_pb2 import Record

if TYPE_CHECKING:
    from infermesh.capture.inference import Inference

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Captured:
    """One request with its answer. ``record`` is what was kept; what is read from its bodies is decoded
    when it is asked for, and needs numpy.
    """

    record: Record

    @property
    def time(self) -> datetime:
        """When the request came, in UTC, to the microsecond."""
        return _EPOCH + timedelta(microseconds=self.record.time_unix_nano // 1000)

    @cached_property
    def requests(self) -> "tuple[Inference, ...]":
        """What the model was asked: one inference, or those of a stream.

        Raises CaptureError if the body is no inference of the v2 protocol, or its beginning alone was kept.
        """
        from infermesh.capture.inference import requests

        return requests(self.record)

    @cached_property
    def responses(self) -> "tuple[Inference, ...]":
        """What it answered, likewise; none if the request failed."""
        from infermesh.capture.inference import responses

        return responses(self.record)


def read(path: Path, *, include_open: bool = False) -> Iterator[Captured]:
    """Yield what a file holds, or all files of a directory.

    ``include_open`` adds the whole records of a file that is being written. A file that is deleted
    meanwhile, by a writer that needs the room, is passed over. Raises CaptureError for a file that is not
    what it should be, and FileNotFoundError for a path that does not exist.
    """
    if not path.is_dir():
        yield from _read_file(path)
        return
    files = complete_files(path)
    if include_open:
        files = sorted([*files, *path.glob("*" + OPEN)])
    for file in files:
        try:
            yield from _read_file(file)
        except FileNotFoundError:
            # Completed meanwhile, or deleted.
            completed = file.with_suffix(COMPLETE)
            if file.suffix == OPEN and completed.exists():
                yield from _read_file(completed)


def _read_file(path: Path) -> Iterator[Captured]:
    end = 0
    with path.open("rb") as file:
        try:
            for end, record in records(file):  # noqa: B007 - where the last one ends
                yield Captured(Record.FromString(record))
        except (CaptureError, DecodeError) as error:
            raise CaptureError(f"{path}: no captured records: {error}") from error
        size = file.seek(0, 2)
    if end != size and path.suffix != OPEN:
        raise CaptureError(f"{path}: found {size - end} bytes of a record that is cut off, expected it whole")
