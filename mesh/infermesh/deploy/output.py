"""Writes rendered files into a folder, and nothing over what somebody else has written."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from infermesh.errors import ConfigurationError, InfermeshError

#: In the folder: what was written, so that it is known again.
RECORD = ".infermesh-render.json"


@dataclass(frozen=True)
class File:
    """Text at a path relative to the folder."""

    path: str
    text: str


def write(folder: Path, files: Iterable[File]) -> list[Path]:
    """Write files, and remove those of the last time that are not among them.

    Raises ConfigurationError, before anything is written, if a file was written or changed by somebody else;
    InfermeshError if one cannot be written.
    """
    wanted = {file.path: file.text for file in files}
    known = _known(folder)
    _refuse_others(folder, known, wanted)
    try:
        for path, text in wanted.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        for path in known.keys() - wanted.keys():
            (folder / path).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        record = {path: _digest(text) for path, text in sorted(wanted.items())}
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InfermeshError(f"cannot write {error.filename}: {error.strerror}") from error
    return [folder / path for path in wanted]


def _known(folder: Path) -> dict[str, str]:
    try:
        known = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{folder / RECORD}: cannot be read: {error}") from error
    return {str(path): str(digest) for path, digest in known.items()}


def _refuse_others(folder: Path, known: dict[str, str], wanted: dict[str, str]) -> None:
    """Files in the way: those that are not as they were written here, unless they are as they are wanted."""
    strange = []
    for path in sorted(known.keys() | wanted.keys()):
        place = folder / path
        if place.is_symlink() or place.is_dir():
            strange.append(place)
        elif place.exists():
            text = place.read_text(encoding="utf-8", errors="replace")
            if text != wanted.get(path) and _digest(text) != known.get(path):
                strange.append(place)
    if strange:
        named = ", ".join(map(str, strange[:5])) + (" and others" if len(strange) > 5 else "")
        raise ConfigurationError(
            f"{named}: written or changed by somebody else, and so left as it is",
            hint="render into another folder, or move it away; what is to be different belongs into "
            "mesh.yaml, or into an overlay beside the rendered files",
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
