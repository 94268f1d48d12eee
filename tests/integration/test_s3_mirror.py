"""A copy of a repository while the repository changes under it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh_servers.model.s3.location import Location
from infermesh_servers.model.s3.mirror import Mirror
from infermesh_servers.model.s3.store import Store, StoredObject
from support.s3 import CREDENTIALS, S3


class Meddled(Store):
    """A store in which something happens just before an object is copied."""

    def __init__(self, location: Location) -> None:
        super().__init__(location)
        self.before_copy: Callable[[StoredObject], None] = lambda _: None
        self.copied: list[str] = []

    def copy(self, source: StoredObject, target: Path, progress: Callable[[int], None]) -> None:
        self.before_copy(source)
        super().copy(source, target, progress)
        self.copied.append(source.path)


@pytest.fixture
def s3(storage: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    s3 = S3(storage)
    yield s3
    s3.client.close()


@pytest.fixture
def store(s3: S3) -> Iterator[Meddled]:
    store = Meddled(Location.parse(s3.location))
    yield store
    store.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def mirror(store: Meddled, root: Path) -> Mirror:
    return Mirror(store, root, "s3://test", stop=lambda: False)


def publish(s3: S3, content: str, model: str = "m") -> None:
    """Two files of one version that belong together."""
    s3.put(f"{model}/1/a", content.encode())
    s3.put(f"{model}/1/b", content.encode())


def found(root: Path, model: str = "m") -> set[str]:
    return {file.read_text() for file in (root / model / "1").iterdir()}


def test_a_change_between_two_objects_is_copied_whole(
    s3: S3, store: Meddled, mirror: Mirror, root: Path
) -> None:
    publish(s3, "old")
    once = iter([True])
    store.before_copy = lambda _: publish(s3, "new") if next(once, False) else None
    assert mirror.sync() == {}
    assert found(root) == {"new"}


def test_what_never_rests_is_a_problem_and_the_copy_before_stays(
    s3: S3, store: Meddled, mirror: Mirror, root: Path
) -> None:
    publish(s3, "first")
    publish(s3, "quiet", "other")
    assert mirror.sync() == {}
    numbers = iter(range(1000))

    def meddle(source: StoredObject) -> None:
        if source.path.startswith("m/"):
            publish(s3, str(next(numbers)))

    publish(s3, "second")
    publish(s3, "loud", "other")
    store.before_copy = meddle
    assert mirror.sync() == {"m": "s3://test/m changed again and again while it was copied"}
    assert found(root) == {"first"}
    assert found(root, "other") == {"loud"}


def test_an_object_that_goes_while_it_is_copied_is_left_out(
    s3: S3, store: Meddled, mirror: Mirror, root: Path
) -> None:
    publish(s3, "one")
    store.before_copy = lambda _: s3.remove("m/1/b")
    assert mirror.sync() == {}
    assert [file.name for file in (root / "m" / "1").iterdir()] == ["a"]


def test_a_bucket_that_goes_during_the_copy_leaves_what_was_there(
    s3: S3, store: Meddled, mirror: Mirror, root: Path
) -> None:
    publish(s3, "old")
    mirror.sync()
    publish(s3, "new")
    once = iter([True])
    store.before_copy = lambda _: s3.drop_bucket() if next(once, False) else None
    with pytest.raises(ConfigurationError, match="there is no bucket"):
        mirror.sync()
    assert found(root) == {"old"}


def test_only_what_changed_is_copied(s3: S3, store: Meddled, mirror: Mirror, root: Path) -> None:
    publish(s3, "old")
    mirror.sync()
    before = (root / "m" / "1" / "a").stat()
    store.copied.clear()
    assert mirror.sync() == {}
    assert store.copied == []
    s3.put("m/1/b", b"new")
    assert mirror.sync() == {}
    assert store.copied == ["m/1/b"]
    after = (root / "m" / "1" / "a").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_the_link_turns_and_only_the_snapshot_before_is_kept(s3: S3, mirror: Mirror, root: Path) -> None:
    snapshots = set()
    for content in ("1", "2", "3"):
        publish(s3, content)
        mirror.sync()
        snapshots.add((root / "m").resolve())
    assert len(snapshots) == 3
    assert sum(snapshot.is_dir() for snapshot in snapshots) == 2
    s3.remove("m/")
    mirror.sync()
    assert not (root / "m").is_symlink()
    assert not any(snapshot.exists() for snapshot in snapshots)


def test_models_whose_names_begin_alike_do_not_meet(s3: S3, mirror: Mirror, root: Path) -> None:
    for model in ("m", "m.2", "m@x", "link", "part"):
        publish(s3, model, model)
    assert mirror.sync() == {}
    s3.remove("m/")
    publish(s3, "new", "m@x")
    mirror.sync()
    assert {child.name for child in root.iterdir() if child.is_symlink()} == {"m.2", "m@x", "link", "part"}
    assert (found(root, "m@x"), found(root, "m.2")) == ({"new"}, {"m.2"})


def test_a_file_that_is_a_folder_too_is_a_problem(s3: S3, mirror: Mirror) -> None:
    s3.put("m/1/a", b"file")
    s3.put("m/1/a/b", b"folder")
    publish(s3, "fine", "other")
    (problem,) = mirror.sync().values()
    assert "s3://test/m cannot be copied" in problem


def test_a_process_that_ends_gives_the_copy_up(s3: S3, store: Meddled, root: Path) -> None:
    publish(s3, "old")
    stopped = Mirror(store, root, "s3://test", stop=lambda: True)
    with pytest.raises(ConfigurationError, match="given up, as the process ends"):
        stopped.sync()
    assert not (root / "m").exists()
