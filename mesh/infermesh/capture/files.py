"""How records lie in a file, and what files are called.

A file that is being written ends in ``.open``, one that is complete in ``.capture``. Names begin with the
time of the first record, in UTC, so their order is that of time.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from infermesh.errors import InfermeshError

COMPLETE = ".capture"
OPEN = ".open"

#: Protobuf's own limit for a message.
_MAX_RECORD_BYTES = 2**31 - 1
_MAX_VARINT_BYTES = 5


class CaptureError(InfermeshError):
    """A captured file cannot be written, or is not what it should be."""


def framed(record: bytes) -> bytes:
    """Return a record as it lies in a file: its length as a varint, then the record.

    Raises ValueError for one that no reader would take.
    """
    if len(record) > _MAX_RECORD_BYTES:
        raise ValueError(f"found a record of {len(record)} bytes, expected {_MAX_RECORD_BYTES} at most")
    length = len(record)
    prefix = bytearray()
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + record


def records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield where each whole record ends and what it is, from the beginning; nothing of one that is cut off.

    Raises CaptureError at a length that cannot be one.
    """
    size = os.fstat(file.fileno()).st_size
    at = 0
    while (start := _length(file, at)) is not None:
        begin, length = start
        # Known before anything is read: memory is not taken for what is not there.
        if begin + length > size:
            return
        at = begin + length
        yield at, file.read(length)


def _length(file: BinaryIO, at: int) -> tuple[int, int] | None:
    """Return where the record behind a varint begins and how long it is; None if the varint is cut off."""
    length = 0
    for index in range(_MAX_VARINT_BYTES):
        byte = file.read(1)
        if not byte:
            return None
        length |= (byte[0] & 0x7F) << (7 * index)
        if byte[0] < 0x80 and length <= _MAX_RECORD_BYTES:
            return at + index + 1, length
        if byte[0] < 0x80:
            break
    raise CaptureError(f"found no length at byte {at}, expected one of {_MAX_RECORD_BYTES} at most")


def complete_files(directory: Path) -> list[Path]:
    """Return the complete files of a directory, the oldest first."""
    return sorted(directory.glob("*" + COMPLETE))
