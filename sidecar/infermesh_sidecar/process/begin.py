"""Sets a sidecar up: everything that can fail does so before an address is bound, if it can be known then."""

import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack

import infermesh_native
from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.logs import ecs
from infermesh.shutdown import Shutdown

from infermesh_sidecar.process.app import wait_for_answer
from infermesh_sidecar.process.launch import Launch, Traces
from infermesh_sidecar.process.native import Proxy
from infermesh_sidecar.process.picture import Picture, set_page
from infermesh_sidecar.process.worker import Worker

_log = logging.getLogger("infermesh.sidecar")

#: Between two looks at whether somebody wants something at the admin endpoint: the end, or a picture.
_LOOK_SECONDS = 0.25

#: How long the end of the process waits for a collector.
_FLUSH_SECONDS = 5.0


def create(launch: Launch) -> Proxy:
    """The data plane, which has opened nothing yet. Raises ConfigurationError for what it cannot do."""
    try:
        proxy = infermesh_native.Proxy(launch.config, version=launch.version)
    except ValueError as error:
        raise ConfigurationError(f"{launch.source}: {error}") from error
    except RuntimeError as error:
        raise InfermeshError(str(error)) from error
    proxy.set_access_log(launch.log_requests)
    return proxy


def begin(proxy: Proxy, launch: Launch, shutdown: Shutdown, stack: ExitStack) -> None:
    """Start what goes on beside the data plane, and listen. ``stack`` ends it all.

    Raises ConfigurationError and InfermeshError that name what is wrong.
    """
    for warning in launch.warnings:
        _log.warning("%s", warning, extra=ecs("sidecar-warning"))
    if launch.functions:
        _call_functions(proxy, launch, stack)
    if launch.captures is not None:
        _write_captures(proxy, launch, stack)
    if launch.traces is not None:
        _send_traces(proxy, launch.traces, launch.resource, stack)
    bound = _listen(proxy, launch)
    if launch.admin is not None:
        picture = Picture(proxy, launch.calls, bound.get("inbound"))
        stack.enter_context(Worker("admin-requests", lambda: _heed(proxy, shutdown, picture), _LOOK_SECONDS))
    if launch.endpoint_files:
        _follow_files(proxy, launch, stack)


def wait_for_apps(proxy: Proxy, launch: Launch, shutdown: Shutdown) -> None:
    """Become ready as soon as the apps answer that are to be waited for, unless the end comes first.

    Raises InfermeshError if one does not answer in its time.
    """
    for app in launch.apps:
        extra = ecs("app-awaited", service__target__address=app.address)
        _log.info("Waiting for the app at %s", app.address, extra=extra)
        problem = wait_for_answer(app, lambda seconds: bool(shutdown.wait(seconds)))
        if problem is not None:
            raise InfermeshError(
                f"the app at {app.address} did not answer within {app.timeout:g} s: {problem}",
                hint="wait_for_app.timeout gives it longer",
            )
    if not shutdown.requested:
        proxy.set_ready(True)
        _log.info("Ready", extra=ecs("sidecar-ready"))


# What is only needed by some is only imported by them: a sidecar is small.


def _call_functions(proxy: Proxy, launch: Launch, stack: ExitStack) -> None:
    from infermesh_sidecar.hooks import Hooks, load_functions

    stack.enter_context(Hooks(proxy, load_functions(launch.functions, launch.folder)))


def _write_captures(proxy: Proxy, launch: Launch, stack: ExitStack) -> None:
    from infermesh.capture.writer import CaptureWriter, Rotation

    from infermesh_sidecar.capturing import Capturing

    assert launch.captures is not None
    given = launch.captures
    rotation = Rotation(given.max_file_bytes, given.max_file_age, given.max_total_bytes)
    stack.enter_context(Capturing(proxy, CaptureWriter(given.directory, rotation)))


def _send_traces(proxy: Proxy, traces: Traces, resource: Mapping[str, str], stack: ExitStack) -> None:
    from infermesh.otlp.destination import Destination
    from infermesh.telemetry.export import export

    proxy.start_traces(traces.sample_rate, list(resource.items()), traces.queue, traces.batch, traces.delay)
    stack.callback(export(proxy, Destination.of(os.environ, traces.url)).stop, _FLUSH_SECONDS)


def _follow_files(proxy: Proxy, launch: Launch, stack: ExitStack) -> None:
    from infermesh_sidecar.process.discovery import LOOK_SECONDS, Discovery

    discovery = Discovery(proxy, launch.endpoint_files)
    stack.enter_context(Worker("endpoint-files", discovery.look, LOOK_SECONDS))


def _listen(proxy: Proxy, launch: Launch) -> Mapping[str, str]:
    """The addresses of listeners by their names."""
    try:
        bound = proxy.listen()
        for name, address in bound.items():
            _log.info("Listening for %s on %s", name, address, extra=_listening(name, address))
        if launch.admin is not None:
            set_page(proxy)
            host, _, port = launch.admin.rpartition(":")
            bound_host, bound_port = proxy.listen_admin(host.strip("[]"), int(port))
            address = f"[{bound_host}]:{bound_port}" if ":" in bound_host else f"{bound_host}:{bound_port}"
            _log.info("Listening for admin on %s", address, extra=_listening("admin", address))
        return bound
    except OSError as error:
        raise InfermeshError(str(error), hint="port 0 picks a free one, admin: false does without") from error


def _listening(name: str, address: str) -> dict[str, object]:
    host, _, port = address.rpartition(":")
    is_port = port.isdecimal()
    return ecs(
        "sidecar-listening",
        observer__ingress__interface__name=name,
        server__address=host.strip("[]") if is_port else address,
        server__port=int(port) if is_port else None,
    )


def _heed(proxy: Proxy, shutdown: Shutdown, picture: Picture) -> None:
    picture.look()
    if proxy.drain_requested():
        shutdown.request("somebody asked for the end at the admin endpoint")
