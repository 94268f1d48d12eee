"""Names of classes: the text files that ``label_filename`` of an output in config.pbtxt points to."""

from pathlib import Path

from infermesh.errors import ConfigurationError
from infermesh.proto.inference.model_config_pb2 import ModelConfig


def read_class_names(config: ModelConfig, directory: Path) -> dict[str, list[str]]:
    """Return the names of each output that has a file, one per line: line i names index i.

    Raises ConfigurationError for a file that is not in the model's directory, is missing or is no text.
    """
    return {
        output.name: _read(directory, output.label_filename)
        for output in config.output
        if output.label_filename
    }


def _read(directory: Path, name: str) -> list[str]:
    path = directory / name
    # A client may send a configuration, too: it must not make other files of this machine readable.
    if not path.resolve().is_relative_to(directory.resolve()):
        raise ConfigurationError(f"{path}: found a label_filename outside of the model's directory")
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: found no such file, expected the names of an output's classes"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
