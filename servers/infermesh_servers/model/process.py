"""The server process from its first line of log to its exit."""

import logging
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import infermesh_native
from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.logs import LogFormat, Output, ecs
from infermesh.otlp.resource import resource
from infermesh.shutdown import Shutdown
from infermesh.telemetry.native_log import NativeLog

from infermesh_servers.model import connections, tracing
from infermesh_servers.model.breakdown import Breakdowns
from infermesh_servers.model.connections import Certificates
from infermesh_servers.model.control import RepositoryControl
from infermesh_servers.model.listeners import listen
from infermesh_servers.model.loader import Loader, Outcome, State
from infermesh_servers.model.log_settings import LogSettings
from infermesh_servers.model.manager import Manager
from infermesh_servers.model.onnxruntime_library import find_library
from infermesh_servers.model.options import EVERY_MODEL, ModelControlMode, ServeOptions
from infermesh_servers.model.poller import Poller
from infermesh_servers.model.readiness import Readiness
from infermesh_servers.model.repositories import Repository, open_repositories
from infermesh_servers.model.table import print_table

_log = logging.getLogger(__name__)

#: How long the end of the process waits for a collector.
_FLUSH_SECONDS = 5.0


def run(options: ServeOptions) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises ConfigurationError if the repository cannot be read, and InfermeshError if an address cannot be
    bound, if a model failed under ``exit_on_error`` or ``exit_on_fatal``, or if the drain ran out of time.
    """
    with Shutdown() as shutdown:
        _run(options, shutdown)


def _run(options: ServeOptions, shutdown: Shutdown) -> None:
    # Before any socket is bound: a mistyped path should not answer as a live server first.
    repository = open_repositories(options.repositories, options.repository_cache, lambda: shutdown.requested)
    repository.check()
    service_version = version("infermesh-servers")
    tracing_config = options.tracing
    attributes = resource(
        os.environ,
        {"service.name": "infermesh-serve", "service.version": service_version},
        tracing_config.resource,
    )
    output = _open_log(options, {name: attributes[name] for name in ("service.name", "service.version")})
    # As early, for the same reason.
    certificates = Certificates.load(options)
    server = infermesh_native.Server(
        version=service_version,
        io_threads=options.io_threads,
        allow_client_shm=options.allow_client_shm,
        response_cache_bytes=options.response_cache_bytes,
        limits=connections.limits(options),
        rules=connections.rules(options),
    )
    log_settings = LogSettings(output, options.log_file, server.set_access_log)
    server.allow_log_settings(log_settings.change)
    with NativeLog(server):
        exporter = tracing.start(server, tracing_config, attributes)
        try:
            _serve(options, certificates, repository, server, shutdown, output.format)
        finally:
            exporter.stop(_FLUSH_SECONDS)


def _open_log(options: ServeOptions, service: Mapping[str, str]) -> Output:
    try:
        # Open until the process ends.
        stream = None if options.log_file is None else options.log_file.open("a", buffering=1)
    except OSError as error:
        raise ConfigurationError(f"--log-file {options.log_file}: {error.strerror}") from error
    return Output(options.log_format, service, stream, options.log_selection)


def _serve(
    options: ServeOptions,
    certificates: Certificates,
    repository: Repository,
    server: infermesh_native.Server,
    shutdown: Shutdown,
    log_format: LogFormat,
) -> None:
    listeners = listen(server, options, certificates)

    loader = Loader(server, find_library, caches=options.response_cache_bytes > 0)
    manager = Manager(repository, loader, stop=lambda: shutdown.requested)
    readiness = Readiness(server, manager, listeners, strict=options.strict_readiness)
    if options.model_control_mode is ModelControlMode.EXPLICIT:
        # Before the first load: a client that asks during it waits for the manager, instead of being refused.
        control = RepositoryControl(manager, readiness.update)
        server.allow_control(control.load, control.unload)
    breakdowns = Breakdowns(manager, readiness, shutdown if options.exit_on_fatal else None)
    server.watch_models(breakdowns)
    try:
        _load(manager, repository, options)
    except ConfigurationError:
        # A copy that was given up because the process is to end is no failure.
        if not shutdown.requested:
            raise
    if log_format is LogFormat.TEXT and (outcomes := manager.outcomes()):
        print_table(outcomes, manager.labels())
    if options.exit_on_error and (names := _failed(manager.outcomes())):
        server.drain(0.0)
        raise InfermeshError(f"cannot load {names}, and --exit-on-error was given")

    poller = None
    if not shutdown.requested:
        readiness.start()
        if options.model_control_mode is ModelControlMode.POLL:
            poller = Poller(manager, options.repository_poll_secs, readiness.update)
            poller.start()

    reason = shutdown.wait()
    if poller is not None:
        poller.stop()
    _drain(server, reason, options.exit_timeout_secs)
    if shutdown.failure is not None:
        raise InfermeshError(f"{shutdown.failure}, and --exit-on-fatal was given")


def _load(manager: Manager, repository: Repository, options: ServeOptions) -> None:
    explicit = options.model_control_mode is ModelControlMode.EXPLICIT
    if explicit and EVERY_MODEL not in options.load_model:
        for name in dict.fromkeys(options.load_model):
            manager.load(name)
        return
    manager.refresh()
    if not manager.outcomes():
        _log.warning(
            "The model repository %s is empty: nothing to serve",
            repository,
            extra=ecs("repository-empty"),
        )


def _failed(outcomes: Sequence[Outcome]) -> str:
    """Return the names of the models that could not be loaded, or an empty string."""
    names = dict.fromkeys(outcome.name for outcome in outcomes if outcome.state is not State.READY)
    return ", ".join(names)


def _drain(server: infermesh_native.Server, reason: str, timeout: float) -> None:
    _log.info("%s: finishing accepted requests", reason, extra=ecs("server-draining"))
    server.set_ready(False)
    if not server.drain(timeout):
        raise InfermeshError(
            f"requests were still running {timeout:g} s after {reason} and were cut off",
            hint="--exit-timeout-secs gives them longer",
        )
    _log.info("Stopped: every accepted request was answered", extra=ecs("server-stopped"))
