"""Labels: names for versions of a model, such as ``stable`` and ``canary``.

They are a parameter of the model's configuration::

    parameters { key: "version_labels" value { string_value: "stable=3, canary=4" } }

A request may give a label wherever it may give a version.
"""

import re
from collections.abc import Mapping

from infermesh.proto.inference.model_config_pb2 import ModelConfig

PARAMETER = "version_labels"

#: A word that is no number, so that it can never be mistaken for a version.
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}", re.ASCII)


def read_labels(config: ModelConfig | None) -> dict[str, int]:
    """Return each label's version; empty if there are none.

    Raises ValueError saying what was found and what is expected.
    """
    if config is None or PARAMETER not in config.parameters:
        return {}
    labels: dict[str, int] = {}
    for part in config.parameters[PARAMETER].string_value.split(","):
        label, equals, version = (word.strip() for word in part.partition("="))
        if not equals or not _LABEL.fullmatch(label) or not re.fullmatch(r"[1-9][0-9]{0,17}", version):
            raise ValueError(
                f'found "{part.strip()}", expected a list such as "stable=3, canary=4": '
                "words that begin with a letter, each with the number of a version"
            )
        if label in labels:
            raise ValueError(f'found the label "{label}" twice, expected each once')
        labels[label] = int(version)
    return labels


def without_labels(config: ModelConfig) -> ModelConfig:
    """Return a copy of a configuration that says nothing about labels."""
    rest = ModelConfig()
    rest.CopyFrom(config)
    rest.parameters.pop(PARAMETER, None)
    return rest


def describe(labels: Mapping[str, int]) -> str:
    """Return labels as people read them: ``canary=4, stable=3``."""
    return ", ".join(f"{label}={version}" for label, version in sorted(labels.items()))
