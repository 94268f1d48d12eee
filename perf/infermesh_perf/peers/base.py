"""What everything that is set up, and every server under test, can do."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infermesh_perf.models import Model
from infermesh_perf.peers.mutual import Mutual
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


@dataclass(frozen=True)
class Front:
    """A proxy before a server: what starts it, and where it tells its metrics, empty if it does not."""

    command: Command
    metrics_url: str


class Proxy(Protocol):
    """What stands before a server and hands requests through."""

    name: str

    def before(
        self, name: str, port: int, model: str, threads: int | None = None, mutual: Mutual | None = None
    ) -> Front:
        """One on loopback before the server `name` at `port`; it is up when `model` is ready through it.

        It has as many network threads as it takes by itself, unless `threads` says how many.
        """


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
