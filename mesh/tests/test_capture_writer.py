"""Captured records in files: what is on disk when, and what becomes of files that are left behind."""

import fcntl
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from infermesh.capture.files import CaptureError, framed, records
from infermesh.capture.writer import CaptureWriter, Rotation
from infermesh.errors import ConfigurationError

KIB = 1024


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


def writer(directory: Path, clock: Clock, rotation: Rotation | None = None) -> CaptureWriter:
    return CaptureWriter(directory, rotation, clock=clock, now=clock.now)


def content(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return [record for _, record in records(file)]


def complete(directory: Path) -> list[list[bytes]]:
    return [content(path) for path in sorted(directory.glob("*.capture"))]


@pytest.mark.parametrize("length", [0, 1, 127, 128, 300, 16383, 16384, 1 << 21])
def test_a_record_is_found_again(tmp_path: Path, length: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(framed(b"x" * length) + framed(b"next"))
    assert content(path) == [b"x" * length, b"next"]


def test_what_is_written_is_on_disk_and_named_when_it_is_complete(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "captures"
    clock = Clock()
    with writer(directory, clock) as captures:
        assert list(directory.iterdir()) == []
        captures.write([b"one", b"two"])
        (opened,) = directory.iterdir()
        assert (opened.suffix, content(opened)) == (".open", [b"one", b"two"])
        captures.write([b"three"])
    (path,) = directory.iterdir()
    assert path.name == f"20260101T000000.000000Z-{os.getpid()}-0.capture"
    assert content(path) == [b"one", b"two", b"three"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_file_is_complete_when_it_is_large_enough(tmp_path: Path) -> None:
    rotation = Rotation(max_file_bytes=10, max_total_bytes=KIB)
    with writer(tmp_path, Clock(), rotation) as captures:
        captures.write([b"1234", b"5678", b"9"])
        assert complete(tmp_path) == [[b"1234", b"5678"]]
        captures.write([b"more than one file is to have", b"0"])
    assert complete(tmp_path) == [[b"1234", b"5678"], [b"9"], [b"more than one file is to have"], [b"0"]]


def test_a_file_is_complete_when_it_is_old_enough(tmp_path: Path) -> None:
    clock = Clock()
    captures = writer(tmp_path, clock, Rotation(max_file_age_seconds=60))
    captures.write([b"1"])
    clock.seconds = 59
    captures.rotate_if_due()
    captures.write([b"2"])
    assert complete(tmp_path) == []
    clock.seconds = 60
    captures.rotate_if_due()
    assert complete(tmp_path) == [[b"1", b"2"]]
    captures.write([b"3"])
    clock.seconds = 120
    captures.write([b"4"])
    captures.close()
    assert complete(tmp_path) == [[b"1", b"2"], [b"3"], [b"4"]]


def test_the_oldest_files_make_room(tmp_path: Path) -> None:
    clock = Clock()
    rotation = Rotation(max_file_bytes=100, max_total_bytes=250)
    captures = writer(tmp_path, clock, rotation)
    for number in range(6):
        clock.seconds = number
        captures.write([bytes([number]) * 99])
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 250
    captures.write([b"x" * 300])
    captures.close()
    assert [kept[0][:1] for kept in complete(tmp_path)] == [b"\x04", b"\x05"]
    assert captures.dropped == 1


def test_what_a_dead_writer_left_is_completed(tmp_path: Path) -> None:
    whole = framed(b"one") + framed(b"two")
    (tmp_path / "cut.open").write_bytes(whole + framed(b"three")[:3])
    (tmp_path / "broken.open").write_bytes(framed(b"one") + b"\xff" * 9)
    (tmp_path / "empty.open").touch()
    (tmp_path / "nothing whole.open").write_bytes(b"\x09cut")
    (tmp_path / "another's").write_bytes(b"stays")
    writer(tmp_path, Clock())
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["another's", "broken.capture", "cut.capture"]
    assert (tmp_path / "cut.capture").read_bytes() == whole
    assert content(tmp_path / "broken.capture") == [b"one"]


def test_what_a_living_writer_has_open_stays_open(tmp_path: Path) -> None:
    clock = Clock()
    first = writer(tmp_path, clock)
    first.write([b"first"])
    second = writer(tmp_path, clock)
    second.write([b"second"])
    assert len(list(tmp_path.glob("*.open"))) == 2
    first.write([b"again"])
    first.close()
    second.close()
    assert complete(tmp_path) == [[b"first", b"again"], [b"second"]]


def test_a_file_that_was_taken_before_it_was_locked_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []
    lock = fcntl.flock

    def take_first(descriptor: int, how: int) -> None:
        lock(descriptor, how)
        if not taken:
            taken.extend(tmp_path.glob("*.open"))
            taken[0].unlink()

    monkeypatch.setattr(fcntl, "flock", take_first)
    with writer(tmp_path, Clock()) as captures:
        captures.write([b"kept"])
    assert taken
    assert complete(tmp_path) == [[b"kept"]]


def test_a_full_disk_costs_what_it_has_no_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captures = writer(tmp_path, Clock())
    captures.write([b"kept"])
    write = os.write

    def full(descriptor: int, data: memoryview) -> int:
        if len(data) <= 2:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:-2])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(CaptureError, match="No space left on device"):
        captures.write([b"lost"])
    monkeypatch.undo()
    captures.write([b"kept, too"])
    captures.close()
    assert complete(tmp_path) == [[b"kept", b"kept, too"]]


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CaptureError, match="file: captures cannot be written there"):
        CaptureWriter(tmp_path / "file")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_file_bytes": 0}, "max_file_bytes: found 0"),
        ({"max_file_age_seconds": 0}, "max_file_age_seconds: found 0"),
        ({"max_file_bytes": 2, "max_total_bytes": 1}, "max_total_bytes: found 1"),
    ],
)
def test_limits_that_contradict_each_other_are_named(limits: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Rotation(**limits)


def test_a_killed_writer_loses_nothing_it_has_written(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, signal; from infermesh.capture.writer import CaptureWriter;"
        "captures = CaptureWriter(pathlib.Path(sys.argv[1])); captures.write([b'one', b'two']);"
        "print('written', flush=True); signal.pause()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    CaptureWriter(tmp_path)
    assert complete(tmp_path) == [[b"one", b"two"]]


def test_a_writer_needs_neither_numpy_nor_the_messages() -> None:
    program = (
        "import sys; import infermesh.capture.writer;"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'google.protobuf')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
