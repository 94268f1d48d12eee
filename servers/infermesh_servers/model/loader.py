"""Loads versions of models into the data plane; a version that fails is listed with its reason."""

import logging
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from infermesh.logs import ecs
from infermesh.proto.inference.model_config_pb2 import ModelConfig

from infermesh_servers.model import gpu_libraries
from infermesh_servers.model.backends import ENSEMBLE, ONNXRUNTIME, instance_count
from infermesh_servers.model.class_names import read_class_names
from infermesh_servers.model.labels import describe
from infermesh_servers.model.repository import ModelEntry, ModelVersion

if TYPE_CHECKING:
    from infermesh_native import Tensor

_log = logging.getLogger(__name__)

#: The version under which a model is listed that has none to list.
NO_VERSION = 0

#: What every Python model of Triton imports.
TRITON_UTILS = "triton_python_backend_utils"


#: Names of classes, by output.
ClassNames = Mapping[str, Sequence[str]]


class Registry(Protocol):
    """The part of ``infermesh_native.Server`` that knows of models; see there."""

    def load_onnx(
        self,
        version: int,
        path: str,
        config: bytes,
        library: str,
        directory: str,
        classes: ClassNames,
    ) -> bytes:
        """Load one version of an ONNX model; returns the completed configuration."""

    def load_python(
        self,
        version: int,
        config: bytes,
        instances: "Sequence[Callable[[list[Tensor]], list[Tensor] | Iterator[list[Tensor]]]]",
        directory: str,
        classes: ClassNames,
    ) -> bytes:
        """Serve one version with one callable per instance; returns the completed configuration."""

    def load_ensemble(self, version: int, config: bytes, classes: ClassNames) -> None:
        """Serve one version that other models compute."""

    def set_load_duration(self, name: str, version: int, seconds: float) -> None:
        """Say how long it took to load a version, for the metrics."""

    def unload(self, name: str, version: int) -> bool:
        """Stop serving a version, or listing it; False if it is unknown."""

    def set_labels(self, name: str, labels: dict[str, int]) -> bool:
        """Replace a model's labels; False if the model is unknown."""

    def set_unavailable(self, name: str, version: int, reason: str) -> None:
        """List a version as UNAVAILABLE with a reason."""


class State(StrEnum):
    """What has become of a version, in the words of the repository index."""

    READY = "READY"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt to load; ``version`` is 0 where the model holds none that could be named."""

    name: str
    version: int
    backend: str | None
    state: State
    reason: str = ""
    #: It was served until it failed for good.
    broken: bool = False
    max_batch_size: int = 0
    instances: int = 0


class Loader:
    """Turns a version's files into a model of the data plane.

    ``library`` finds libonnxruntime; it is asked only when an ONNX model is loaded. ``caches`` says whether
    the server has a response cache.
    """

    def __init__(self, registry: Registry, library: Callable[[], Path], *, caches: bool = False) -> None:
        self._registry = registry
        self._library = library
        self._caches = caches

    def load(self, entry: ModelEntry, version: ModelVersion, *, replaces: bool = False) -> Outcome:
        """Load one version and report; never raises for anything that is wrong with the model.

        With ``replaces`` a load of the same version is being served: if the new one fails, that one stays.
        """
        started = time.monotonic_ns()
        try:
            config = self._load(entry, version)
        except (
            Exception,
            SystemExit,
        ) as error:  # a model file that calls sys.exit ends itself, not the server
            return self.refuse(entry, version.number, _reason(error, entry), replaces=replaces)
        outcome = Outcome(
            entry.name,
            version.number,
            entry.backend,
            State.READY,
            max_batch_size=config.max_batch_size,
            instances=instance_count(config),
        )
        if config.response_cache.enable and not self._caches:
            _log.warning(
                "%s: response_cache.enable: ignored: the server has no cache; --cache-config gives it one",
                entry.name,
                extra=ecs("model-warning", infermesh__model__name=entry.name),
            )
        duration = time.monotonic_ns() - started
        self._registry.set_load_duration(entry.name, version.number, duration / 1e9)
        _log.info(
            "Loaded %s version %d",
            entry.name,
            version.number,
            extra=_fields("model-loaded", outcome, event__duration=duration),
        )
        return outcome

    def refuse(self, entry: ModelEntry, version: int, reason: str, *, replaces: bool = False) -> Outcome:
        """List a version as unavailable, unless an earlier load of it is still served, and report."""
        outcome = Outcome(entry.name, version, entry.backend, State.UNAVAILABLE, reason)
        kept = "; the version loaded before stays in service" if replaces else ""
        if not replaces:
            self._registry.set_unavailable(entry.name, version, reason)
        called = f"{entry.name} version {version}" if version != NO_VERSION else entry.name
        _log.error("Cannot load %s: %s%s", called, reason, kept, extra=_fields("model-load-failed", outcome))
        return outcome

    def unload(self, name: str, version: int) -> None:
        """Take one version out of service; requests that were accepted are answered first."""
        self._registry.unload(name, version)
        if version != NO_VERSION:
            _log.info(
                "Unloaded %s version %d",
                name,
                version,
                extra=ecs("model-unloaded", infermesh__model__name=name, infermesh__model__version=version),
            )

    def label(self, name: str, labels: Mapping[str, int]) -> None:
        """Replace a model's labels, all at once."""
        self._registry.set_labels(name, dict(labels))
        _log.info(
            "Labels of %s: %s",
            name,
            describe(labels) or "none",
            extra=ecs(
                "model-labelled", infermesh__model__name=name, infermesh__model__labels=describe(labels)
            ),
        )

    def _load(self, entry: ModelEntry, version: ModelVersion) -> ModelConfig:
        config = ModelConfig()
        if entry.config is not None:
            config.CopyFrom(entry.config)
        config.name = entry.name
        if entry.backend == ENSEMBLE:
            config.platform = ENSEMBLE
            classes = read_class_names(config, entry.directory)
            self._registry.load_ensemble(version.number, config.SerializeToString(), classes)
            return config
        config.backend = entry.backend or ""
        if not version.file.is_file():
            raise FileNotFoundError(f"{version.file}: found no such file")
        directory, classes = str(entry.directory), read_class_names(config, entry.directory)
        if entry.backend == ONNXRUNTIME:
            completed = self._load_onnx(version, config, directory, classes)
        else:
            # numpy takes memory and a tenth of a second, and a server of ONNX models never needs it.
            from infermesh_servers.model.python_backend import load_instances

            config, instances = load_instances(version.file, version.number, config)
            decoupled = config.model_transaction_policy.decoupled
            calls = [instance.stream if decoupled else instance for instance in instances]
            completed = self._registry.load_python(
                version.number, config.SerializeToString(), calls, directory, classes
            )
        return ModelConfig.FromString(completed)

    def _load_onnx(
        self, version: ModelVersion, config: ModelConfig, directory: str, classes: ClassNames
    ) -> bytes:
        library = self._library()
        if gpu_libraries.has_cuda(library) and gpu_libraries.may_use_gpu(config):
            gpu_libraries.preload(library)
        try:
            return self._registry.load_onnx(
                version.number,
                str(version.file),
                config.SerializeToString(),
                str(library),
                directory,
                classes,
            )
        except Exception as error:
            if remedy := gpu_libraries.explain(str(error), library):
                raise RuntimeError(f"{error}: {remedy}") from error
            raise


def _reason(error: BaseException, entry: ModelEntry) -> str:
    """Say what happened in one sentence; an error inside a person's model file names its line."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(entry.directory)]
    text = str(error)
    if isinstance(error, ModuleNotFoundError) and error.name == TRITON_UTILS:
        text += "; a Python model is a class Model here: docs/guides/migrate-from-triton.md"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    if inside:
        return f"{inside[-1].filename}:{inside[-1].lineno}: {type(error).__name__}: {text}"
    return text or type(error).__name__


def _fields(action: str, outcome: Outcome, event__duration: int | None = None) -> dict[str, object]:
    ready = outcome.state is State.READY
    return ecs(
        action,
        event__outcome="success" if ready else "failure",
        event__duration=event__duration,
        error__message=outcome.reason or None,
        infermesh__model__name=outcome.name,
        infermesh__model__version=outcome.version,
        infermesh__model__backend=outcome.backend,
        infermesh__model__max_batch_size=outcome.max_batch_size if ready else None,
        infermesh__model__instances=outcome.instances if ready else None,
    )
