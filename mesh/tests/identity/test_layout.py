"""Finding and reading the files of an identity, whoever wrote them."""

from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.identity import layout
from infermesh.identity.layout import LAYOUTS, MAX_FILE, OWN, Layout


def write(folder: Path, it: Layout, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in (it.certificate, it.key, it.bundle):
        (folder / name).write_text(f"{text} {name}")


@pytest.mark.parametrize("it", LAYOUTS, ids=lambda it: it.writer)
def test_names_of_each_writer(tmp_path: Path, it: Layout) -> None:
    write(tmp_path, it, "some")

    assert layout.locate(tmp_path) == it
    found = layout.read_identity(tmp_path)

    assert found.layout == it
    assert found.certificate.path == tmp_path / it.certificate
    assert found.certificate.contents == f"some {it.certificate}".encode()
    assert found.key is not None
    assert found.key.contents == f"some {it.key}".encode()
    assert found.bundle is not None
    assert found.bundle.contents == f"some {it.bundle}".encode()


def test_as_kubernetes_mounts_a_secret(tmp_path: Path) -> None:
    write(tmp_path / "..2030_01_01", OWN, "first")
    (tmp_path / "..data").symlink_to("..2030_01_01")
    for name in (OWN.certificate, OWN.key, OWN.bundle):
        (tmp_path / name).symlink_to(f"..data/{name}")

    found = layout.read_identity(tmp_path)

    # By the names that people know.
    assert found.certificate.path == tmp_path / OWN.certificate
    assert found.certificate.contents == b"first tls.crt"


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    (tmp_path / OWN.certificate).write_text("alone")

    found = layout.read_identity(tmp_path)

    assert found.key is None
    assert found.bundle is None


def test_a_folder_with_something_else(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.txt").touch()

    with pytest.raises(ConfigurationError) as refused:
        layout.locate(tmp_path)

    assert f"{tmp_path}: found 00.txt, 01.txt" in str(refused.value)
    assert "09.txt, ..., expected tls.crt, tls.key and ca.crt (cert-manager); svid.pem" in str(refused.value)


def test_an_empty_folder_and_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="found no file, expected"):
        layout.locate(tmp_path)
    with pytest.raises(ConfigurationError, match="nowhere does not exist, expected a folder") as refused:
        layout.locate(tmp_path / "nowhere")
    assert "infermesh identity init" in (refused.value.hint or "")


def test_a_link_to_nothing_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    (tmp_path / OWN.certificate).symlink_to("..data/tls.crt")

    with pytest.raises(ConfigurationError, match=r"found tls.crt, expected"):
        layout.locate(tmp_path)


def test_a_folder_that_is_replaced_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "..one", OWN, "one")
    write(tmp_path / "..two", OWN, "two")
    (tmp_path / "..data").symlink_to("..one")
    looks: list[Path] = []
    read = layout._read

    def replaced(path: Path, name: Path) -> layout.Part | None:
        # The first look finds the link, and then nothing behind it any more.
        if not looks:
            (tmp_path / "..one" / OWN.key).unlink()
            (tmp_path / "..next").symlink_to("..two")
            (tmp_path / "..next").replace(tmp_path / "..data")
        looks.append(path)
        return read(path, name)

    monkeypatch.setattr(layout, "_read", replaced)
    parts = layout.read_together(tmp_path, (OWN.certificate, OWN.key))

    assert [part and part.contents for part in parts] == [b"two tls.crt", b"two tls.key"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / OWN.certificate).mkdir()
    with pytest.raises(InfermeshError, match=r"cannot read .*tls.crt: Is a directory"):
        layout.read_identity(tmp_path)
    (tmp_path / "large").write_bytes(b"x" * (MAX_FILE + 1))
    with pytest.raises(InfermeshError, match=f"is larger than {MAX_FILE} bytes"):
        layout.read_file(tmp_path / "large")
    with pytest.raises(InfermeshError, match="absent: it does not exist"):
        layout.read_file(tmp_path / "absent")


def test_identities_below_a_folder(tmp_path: Path) -> None:
    for name in ("b", "a/b/c", "a", ".hidden", "..generation-x"):
        write(tmp_path / name, OWN, "some")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to(".")

    found = [str(path.relative_to(tmp_path)) for path in layout.identities_below(tmp_path)]

    assert found == ["a", "a/b/c", "b"]
