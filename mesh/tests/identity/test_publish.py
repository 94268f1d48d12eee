"""Files that are replaced together: readers beside a writer, and what goes wrong while it writes."""

import fcntl
import os
import threading
from pathlib import Path

import pytest
from infermesh.errors import InfermeshError
from infermesh.identity import layout, publish
from infermesh.identity.layout import OWN

NAMES = (OWN.certificate, OWN.key, OWN.bundle)


def three(text: str) -> dict[str, bytes]:
    return {name: text.encode() for name in NAMES}


def held(folder: Path) -> set[bytes]:
    return {(folder / name).read_bytes() for name in NAMES}


def generations(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]


def test_they_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "where"
    before = os.umask(0)
    try:
        publish.publish(folder, three("one"))
    finally:
        os.umask(before)

    assert held(folder) == {b"one"}
    assert folder.stat().st_mode & 0o777 == 0o700
    (generation,) = generations(folder)
    assert generation.stat().st_mode & 0o777 == 0o700
    for name in NAMES:
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        assert str((folder / name).readlink()) == f"..data/{name}"


def test_a_folder_can_be_moved(tmp_path: Path) -> None:
    publish.publish(tmp_path / "a", three("one"))
    (tmp_path / "a").rename(tmp_path / "b")

    assert held(tmp_path / "b") == {b"one"}


def test_the_one_before_stays_for_those_who_read_it(tmp_path: Path) -> None:
    for number in range(5):
        publish.publish(tmp_path, three(str(number)))
        assert held(tmp_path) == {str(number).encode()}

    kept = {(path / OWN.key).read_bytes() for path in generations(tmp_path)}
    assert kept == {b"3", b"4"}


def test_readers_never_see_a_key_of_another_certificate(tmp_path: Path) -> None:
    publish.publish(tmp_path, three("0"))
    written = threading.Event()
    seen: set[bytes] = set()
    mixed: list[list[bytes | None]] = []

    def read() -> None:
        while not written.is_set():
            parts = layout.read_together(tmp_path, NAMES)
            contents = [None if part is None else part.contents for part in parts]
            if len(set(contents)) != 1 or None in contents:
                mixed.append(contents)
            seen.update(it for it in contents if it is not None)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 300):
        publish.publish(tmp_path, three(str(number)))
    written.set()
    for reader in readers:
        reader.join()

    assert mixed == []
    # They did read while it was written.
    assert len(seen) > 3


def test_a_name_is_never_missing(tmp_path: Path) -> None:
    publish.publish(tmp_path, three("0"))
    written = threading.Event()
    missing: list[str] = []

    def look() -> None:
        while not written.is_set():
            missing.extend(name for name in NAMES if not (tmp_path / name).exists())

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(300):
        publish.publish(tmp_path, three(str(number)))
    written.set()
    reader.join()

    assert missing == []


@pytest.mark.parametrize("step", ["_write", "_link"])
def test_what_was_there_stays_if_it_cannot_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    publish.publish(tmp_path, three("one"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr(publish, step, full)
        with pytest.raises(InfermeshError, match="No space left on device"):
            publish.publish(tmp_path, three("two"))
    assert held(tmp_path) == {b"one"}

    publish.publish(tmp_path, three("three"))
    assert held(tmp_path) == {b"three"}
    # What was left over from the failure is gone.
    assert len(generations(tmp_path)) == 2


def test_a_disk_that_fills_up_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish.publish(tmp_path, three("one"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InfermeshError, match=f"cannot write {tmp_path}: No space left on device"):
        publish.publish(tmp_path, three("two"))

    assert held(tmp_path) == {b"one"}
    assert len(generations(tmp_path)) == 1


@pytest.mark.parametrize("way", ["file", "folder", "link"])
def test_what_somebody_else_wrote_is_not_replaced(tmp_path: Path, way: str) -> None:
    taken = tmp_path / OWN.key
    match way:
        case "file":
            taken.write_text("precious")
        case "folder":
            taken.mkdir()
        case _:
            taken.symlink_to("/nowhere/precious")

    with pytest.raises(InfermeshError, match="was not written by infermesh identity"):
        publish.publish(tmp_path, three("one"))

    assert sorted(path.name for path in tmp_path.iterdir()) == [OWN.key]


def test_two_do_not_write_at_once(tmp_path: Path) -> None:
    publish.publish(tmp_path, three("one"))
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(InfermeshError, match="another process is writing"):
            publish.publish(tmp_path, three("two"))
    finally:
        os.close(descriptor)

    assert held(tmp_path) == {b"one"}
    publish.publish(tmp_path, three("two"))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InfermeshError, match=r"cannot write .*file"):
        publish.publish(tmp_path / "file" / "folder", three("one"))
    with pytest.raises(InfermeshError, match=r"cannot write .*file"):
        publish.publish(tmp_path / "file", three("one"))
