"""The files that carry an identity: what they are called, and how those are read that belong together."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infermesh.errors import ConfigurationError, InfermeshError

#: Where the commands keep the local authority and what it has issued.
DEFAULT_FOLDER = Path(".infermesh/identity")

#: The link that kubelet and ``publish`` swap: behind it all files are of one time.
CURRENT = "..data"

#: More than any bundle of authorities has, in bytes.
MAX_FILE = 4 << 20

#: A folder that is replaced between two looks at it is there at the next.
_TRIES = 10


@dataclass(frozen=True)
class Layout:
    """What somebody calls the three files, all of them PEM."""

    writer: str
    #: The leaf, and what is between it and the authority.
    certificate: str
    key: str
    #: The authorities that others are held to.
    bundle: str

    def __str__(self) -> str:
        return f"{self.certificate}, {self.key} and {self.bundle} ({self.writer})"


#: The first is what ``infermesh identity issue`` writes, so that it and the mount of a Secret look alike.
LAYOUTS = (
    Layout("cert-manager", "tls.crt", "tls.key", "ca.crt"),
    Layout("spiffe-helper", "svid.pem", "svid_key.pem", "svid_bundle.pem"),
    Layout("spire-agent api fetch", "svid.0.pem", "svid.0.key", "bundle.0.pem"),
)
OWN = LAYOUTS[0]

#: Beside ``ca.crt`` in the folder of the local authority.
AUTHORITY_KEY = "ca.key"


@dataclass(frozen=True)
class Part:
    """One file, and where it was found."""

    path: Path
    contents: bytes


@dataclass(frozen=True)
class Files:
    """What belongs to an identity, all of one moment; what is not there is None."""

    certificate: Part
    key: Part | None
    bundle: Part | None
    #: How a folder names them; None of a file by itself, beside which nothing is expected.
    layout: Layout | None = None


def layout_of(folder: Path) -> Layout | None:
    """Whose certificate lies in a folder; None if there is none."""
    return next((layout for layout in LAYOUTS if (folder / layout.certificate).exists()), None)


def locate(folder: Path) -> Layout:
    """As ``layout_of``; raises ConfigurationError that says what is there instead."""
    if (layout := layout_of(folder)) is not None:
        return layout
    expected = "; ".join(str(layout) for layout in LAYOUTS)
    if not folder.is_dir():
        raise ConfigurationError(
            f"{folder} does not exist, expected a folder with {expected}",
            hint="infermesh identity init and infermesh identity issue NAME make one",
        )
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    found = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    raise ConfigurationError(f"{folder}: found {found or 'no file'}, expected {expected}")


def read_identity(folder: Path) -> Files:
    """The files of an identity, all of one time where they lie behind a link that is swapped.

    Raises ConfigurationError if there is no certificate, and InfermeshError if a file cannot be read.
    """
    layout = locate(folder)
    parts = read_together(folder, (layout.certificate, layout.key, layout.bundle))
    certificate = parts[0]
    if certificate is None:
        raise InfermeshError(f"cannot read {folder / layout.certificate}: it does not exist any more")
    return Files(certificate, parts[1], parts[2], layout)


def read_together(folder: Path, names: tuple[str, ...]) -> list[Part | None]:
    """The files of these names; raises InfermeshError if one is there and cannot be read.

    Behind a link that is swapped, all are of one time: the link is followed once for all of them.
    """
    for _ in range(_TRIES):
        now = _current(folder)
        parts = [_read(now / name, folder / name) for name in names]
        # What is missing may have been removed under way, to make room for something newer.
        if all(parts) or _current(folder) == now:
            return parts
    raise InfermeshError(f"cannot read {folder}: it was replaced {_TRIES} times meanwhile")


def read_file(path: Path) -> Part:
    """One file; raises InfermeshError if it cannot be read."""
    part = _read(path, path)
    if part is None:
        raise InfermeshError(f"cannot read {path}: it does not exist")
    return part


def identities_below(folder: Path) -> Iterator[Path]:
    """Folders with a certificate in a folder and below it, sorted; hidden ones are passed over."""
    if layout_of(folder) is not None:
        yield folder
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            yield from identities_below(path)


def _current(folder: Path) -> Path:
    """The folder behind the link that is swapped; where there is no such link, the folder itself."""
    link = folder / CURRENT
    for _ in range(_TRIES):
        try:
            return link.resolve(strict=True)
        except FileNotFoundError:
            if not link.is_symlink():
                return folder
            # What it led to was removed since: there is something newer.
    return link


def _read(path: Path, name: Path) -> Part | None:
    try:
        with path.open("rb") as file:
            contents = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InfermeshError(
            f"cannot read {name}: {error.strerror}", hint="check the path and its permissions"
        ) from error
    if len(contents) > MAX_FILE:
        raise InfermeshError(f"{name} is larger than {MAX_FILE} bytes, expected certificates or a key in PEM")
    return Part(name, contents)
