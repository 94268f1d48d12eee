"""What a client gives along with a load: a configuration, and files that stand in for the model's directory.

The names and the rules are those of Triton's model repository extension: ``config`` is a ModelConfig in JSON,
``file:1/model.onnx`` the content of that file. With a file the model's own directory is not looked at, so a
configuration must come with it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from infermesh.errors import ConfigurationError

from infermesh_servers.model.config import CheckedConfig, parse_override
from infermesh_servers.model.private_directory import PrivateDirectory

CONFIG = "config"
FILE_PREFIX = "file:"

#: What file systems take: a longer name is a mistake, or somebody's try.
_LONGEST_PART = 255
_MOST_PARTS = 16


@dataclass(frozen=True)
class Overrides:
    """The parameters of one load, checked; ``files`` are by their path in the model's directory."""

    config: CheckedConfig | None = None
    files: Mapping[PurePosixPath, bytes] | None = None

    def localize(self) -> PrivateDirectory:
        """Write the files to a directory of their own. Raises OSError, and leaves nothing behind then."""
        directory = PrivateDirectory()
        for name, content in (self.files or {}).items():
            file = directory.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return directory


def read_overrides(name: str, parameters: Mapping[str, object]) -> Overrides:
    """Check a load's parameters; raises ValueError, in Triton's words where it has some."""
    config: CheckedConfig | None = None
    files: dict[PurePosixPath, bytes] = {}
    for key, value in parameters.items():
        if key == CONFIG:
            config = _config(name, value)
        elif key.startswith(FILE_PREFIX):
            if not isinstance(value, bytes):
                raise ValueError(f"invalid value type for load parameter '{key}', expected bytes_param.")
            path = _path(key)
            if path in files:
                raise ValueError(f"load parameter '{key}' names a file that another one names, too")
            files[path] = value
        else:
            raise ValueError(f"unrecognized load parameter '{key}'.")
    if files and config is None:
        raise ValueError(
            f"failed to load '{name}': override files are given without 'config', "
            "which takes the place of the configuration in the model's directory"
        )
    for path in files:
        for parent in path.parents:
            if parent in files:
                raise ValueError(f"load parameter '{FILE_PREFIX}{parent}' is the directory of another file")
    return Overrides(config, files or None)


def _config(name: str, value: object) -> CheckedConfig:
    if not isinstance(value, str):
        raise ValueError(f"invalid value type for load parameter '{CONFIG}', expected string_param.")
    try:
        return parse_override(value, name)
    except ConfigurationError as error:
        raise ValueError(f"failed to load '{name}': Invalid config override: {error}") from error


def _path(key: str) -> PurePosixPath:
    """Return the path that a parameter names; one that could lead out of the directory is refused."""
    text = key.removeprefix(FILE_PREFIX)
    parts = text.split("/")
    fits = len(parts) <= _MOST_PARTS and all(
        part not in ("", ".", "..") and len(os.fsencode(part)) <= _LONGEST_PART and part.isprintable()
        for part in parts
    )
    if not fits or "\\" in text:
        raise ValueError(
            f"load parameter '{key}' names no file of a model, "
            f"expected a path such as {FILE_PREFIX}1/model.onnx"
        )
    return PurePosixPath(text)
