"""What everything that is set up, and every server under test, can do."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from infermesh_perf.models import Model
from infermesh_perf.processes import Command


class Installable(ABC):
    """Something that is set up from packages before it is measured, or measures."""

    name: str

    @abstractmethod
    def install(self) -> None:
        """Brings everything that `command` needs; returns at once when it is there. Raises SetupError."""

    @abstractmethod
    def missing(self) -> str | None:
        """What `install` has not brought yet, in words, or None if everything is there."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """What runs, by package name."""


class Peer(Installable):
    """A model server that speaks the v2 protocol: how it is installed, given a model, and started."""

    @abstractmethod
    def settings(self, model: Model) -> dict[str, int]:
        """Thread and process counts that this peer serves `model` with, for the report."""

    @abstractmethod
    def command(self, model: Model, onnx: Path) -> Command:
        """Writes a repository that holds only `model`, from the file `onnx`, and says what serves it."""


def fresh(directory: Path) -> Path:
    """`directory`, made empty."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def place(source: Path, target: Path) -> None:
    """Puts a model file into a repository, by a hard link where the file system allows it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
