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

from dataclasses import dataclass
from pathlib import Path

from infermesh.errors import ConfigurationError
from infermesh.proto.inference.model_config_pb2 import ModelConfig, ModelVersionPolicy

from infermesh_servers.model.backends import choose_backend, model_file_name
from infermesh_servers.model.config import FILE_NAME, read_config
from infermesh_servers.model.version_policy import missing, select

#: (path, size in bytes, time of change in ns, inode) of each file: equal means nothing changed. The inode
#: catches a symlink that was turned to another file of the same age, which is how volumes are updated on
#: Kubernetes.
Stamp = tuple[tuple[str, int, int, int], ...]

_LARGEST_VERSION = 2**63 - 1


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
    nothing.
    """

    name: str
    directory: Path
    config: ModelConfig | None
    backend: str | None
    versions: tuple[ModelVersion, ...]
    config_stamp: Stamp
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


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


def scan_model(directory: Path) -> ModelEntry:
    """Return what one model's directory holds; every mistake in it becomes one of its ``problems``."""
    name = directory.name
    config: ModelConfig | None = None
    config_stamp: Stamp = ()
    try:
        config_file = directory / FILE_NAME
        if config_file.exists():
            config_stamp = _stamp([config_file], directory)
            config = read_config(config_file, name)
        folders = _version_folders(directory)
    except (OSError, ConfigurationError) as error:
        return ModelEntry(name, directory, None, None, (), config_stamp, problems=(str(error),))

    policy = config.version_policy if config is not None else ModelVersionPolicy()
    warnings = tuple(
        f"{directory}: found no version {version}, which version_policy asks for"
        for version in missing(policy, folders)
    )
    try:
        backend = choose_backend(config, _file_names(folders))
        versions = tuple(
            _version(number, folders[number], model_file_name(config, backend))
            for number in select(policy, folders)
        )
        if not versions:
            raise ValueError(f"found no version to serve, expected a directory such as {directory / '1'}")
    except (OSError, ValueError) as error:
        return ModelEntry(
            name,
            directory,
            config,
            None,
            (),
            config_stamp,
            problems=(f"{directory}: {error}",),
            warnings=warnings,
        )
    return ModelEntry(name, directory, config, backend, versions, config_stamp, warnings=warnings)


def _version_folders(directory: Path) -> dict[int, Path]:
    return {
        int(child.name): child for child in directory.iterdir() if _is_version(child.name) and child.is_dir()
    }


def _is_version(name: str) -> bool:
    # isdecimal alone would take digits of other scripts, and 01 would be a second name for 1.
    return name.isascii() and name.isdecimal() and name[0] != "0" and int(name) <= _LARGEST_VERSION


def _file_names(folders: dict[int, Path]) -> set[str]:
    return {child.name for folder in folders.values() for child in folder.iterdir()}


def _version(number: int, folder: Path, file_name: str) -> ModelVersion:
    # A model may keep more beside its file: external weights, labels, other modules. All of it is part of
    # the version, except what Python itself writes there while the model is imported.
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.parent.name != "__pycache__")
    return ModelVersion(number, folder / file_name, _stamp(files, folder))


def _stamp(files: list[Path], relative_to: Path) -> Stamp:
    stats = [(file.relative_to(relative_to).as_posix(), file.stat()) for file in files]
    return tuple((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats)
