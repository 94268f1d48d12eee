"""Scans a model repository in Triton's layout.

::

    REPOSITORY/
        NAME/
            config.pbtxt        optional: an ONNX file and a Python class can say most of it themselves
            VERSION/            a whole number, 1 or more
                model.onnx      or model.py

Scanning reads directories and configurations, never a model. One broken model is one with ``problems``; it
never stops the others from being found.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from infermesh.errors import ConfigurationError
from infermesh.proto.inference.model_config_pb2 import ModelConfig, ModelVersionPolicy

from infermesh_servers.model.backends import choose_backend, model_file_name
from infermesh_servers.model.config import FILE_NAME, CheckedConfig, read_config
from infermesh_servers.model.labels import read_labels
from infermesh_servers.model.version_policy import missing, select

#: (path, size in bytes, time of change in ns, inode) of each file: equal means nothing changed. The inode
#: catches a symlink that was turned to another file of the same age, which is how volumes are updated on
#: Kubernetes.
Stamp = tuple[tuple[str, int, int, int], ...]

_LARGEST_VERSION = 2**63 - 1

#: What a model file that is a directory holds.
MODEL_IN_FOLDER = "model.onnx"


@dataclass(frozen=True)
class ModelVersion:
    """One version that is to be served."""

    number: int
    file: Path
    stamp: Stamp


@dataclass(frozen=True)
class ModelEntry:
    """One directory of the repository.

    ``versions`` are those the version policy chooses, ascending. With ``problems`` nothing of the model can
    be loaded, ``backend`` may be None and ``versions`` empty; ``warnings`` are worth telling and stop
    nothing. ``keeps`` is what must live as long as anything that was loaded from the directory.
    """

    name: str
    directory: Path
    config: ModelConfig | None
    backend: str | None
    versions: tuple[ModelVersion, ...]
    config_stamp: Stamp
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    keeps: object = field(default=None, compare=False, repr=False)


def scan(repository: Path) -> dict[str, ModelEntry]:
    """Return every model of a repository by name, in alphabetical order.

    Hidden directories, such as those of git and of Kubernetes' volumes, and plain files are no models. Raises
    ConfigurationError if ``repository`` is no directory or cannot be listed.
    """
    try:
        names = sorted(
            child.name for child in repository.iterdir() if child.is_dir() and not child.name.startswith(".")
        )
    except NotADirectoryError as error:
        raise ConfigurationError(
            f"the model repository {repository} is a file, expected a directory",
            hint="name the directory that holds one directory per model: REPOSITORY/NAME/1/model.onnx",
        ) from error
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"the model repository {repository} does not exist",
            hint="name the directory that holds one directory per model: REPOSITORY/NAME/1/model.onnx",
        ) from error
    except OSError as error:
        raise ConfigurationError(f"the model repository {repository} cannot be read: {error}") from error
    return {name: scan_model(repository / name) for name in names}


def scan_model(
    directory: Path, name: str | None = None, override: CheckedConfig | None = None, keeps: object = None
) -> ModelEntry:
    """Return what one model's directory holds; every mistake in it becomes one of its ``problems``.

    The model's name is that of its directory unless one is given; ``override`` takes the place of the
    directory's own configuration.
    """
    name = directory.name if name is None else name
    entry = ModelEntry(name, directory, None, None, (), (), keeps=keeps)
    try:
        folders = _version_folders(directory)
        files = _file_names(folders)
        config_file = directory / FILE_NAME
        checked = override
        if checked is None and config_file.exists():
            entry = replace(entry, config_stamp=_stamp([config_file], directory))
            checked = read_config(config_file, name, files)
    except (OSError, ConfigurationError) as error:
        return replace(entry, problems=(str(error),))

    config = checked.config if checked is not None else None
    entry = replace(entry, config=config, labels=read_labels(config))
    try:
        backend = choose_backend(config, files)
        policy = config.version_policy if config is not None else ModelVersionPolicy()
        entry = replace(entry, warnings=tuple(_warnings(directory, checked, policy, folders)))
        versions = tuple(
            _version(number, folders[number], model_file_name(config, backend))
            for number in select(policy, folders)
        )
        if not versions:
            raise ValueError(f"found no version to serve, expected a directory such as {directory / '1'}")
    except (OSError, ValueError) as error:
        return replace(entry, problems=(f"{directory}: {error}",))
    chosen = {version.number for version in versions}
    dangling = tuple(
        f"{directory}: the label '{label}' names version {version}, which is not served"
        for label, version in entry.labels.items()
        if version not in chosen
    )
    return replace(entry, backend=backend, versions=versions, warnings=entry.warnings + dangling)


def _warnings(
    directory: Path, checked: CheckedConfig | None, policy: ModelVersionPolicy, folders: Iterable[int]
) -> Iterator[str]:
    yield from checked.warnings if checked is not None else ()
    for version in missing(policy, folders):
        yield f"{directory}: found no version {version}, which version_policy asks for"


def is_model_name(name: str) -> bool:
    """Return whether a name can be that of a model's directory: one with a separator would lead elsewhere."""
    return not name.startswith(".") and "\0" not in name and Path(name).name == name != ""


def _version_folders(directory: Path) -> dict[int, Path]:
    return {
        int(child.name): child for child in directory.iterdir() if is_version(child.name) and child.is_dir()
    }


def is_version(name: str) -> bool:
    """Return whether a name can be that of a version's directory."""
    # isdecimal alone would take digits of other scripts, and 01 would be a second name for 1.
    return name.isascii() and name.isdecimal() and name[0] != "0" and int(name) <= _LARGEST_VERSION


def _file_names(folders: dict[int, Path]) -> set[str]:
    return {child.name for folder in folders.values() for child in folder.iterdir()}


def _version(number: int, folder: Path, file_name: str) -> ModelVersion:
    # A model may keep more beside its file: external weights, labels, other modules. All of it is part of
    # the version, except what Python itself writes there while the model is imported.
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.parent.name != "__pycache__")
    file = folder / file_name
    # Triton's form for an ONNX model in several files.
    inside = file / MODEL_IN_FOLDER
    return ModelVersion(number, inside if inside.is_file() else file, _stamp(files, folder))


def _stamp(files: list[Path], relative_to: Path) -> Stamp:
    stats = [(file.relative_to(relative_to).as_posix(), file.stat()) for file in files]
    return tuple((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats)
