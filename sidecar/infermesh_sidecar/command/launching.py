"""From a configuration to what the sidecar's process is told."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from infermesh.errors import ConfigurationError
from infermesh.otlp.resource import resource
from infermesh.settings.document import Document
from infermesh.settings.values import split_address
from infermesh.telemetry.trace_config import TraceConfig

from infermesh_sidecar.process.discovery import read_endpoints
from infermesh_sidecar.process.launch import App, Captures, Ending, Launch, Traces
from infermesh_sidecar.settings.listeners import Listener
from infermesh_sidecar.settings.process import AppExit
from infermesh_sidecar.settings.resolve import inbound_tls
from infermesh_sidecar.settings.sidecar import Sidecar
from infermesh_sidecar.translate.config import identity_files, proxy_config


def launch(
    sidecar: Sidecar,
    document: Document,
    folder: Path,
    environment: Mapping[str, str],
    command: Sequence[str] = (),
) -> Launch:
    """Everything that can be known before it starts; ``folder`` is what paths are relative to.

    Raises ConfigurationError for a file or a variable of the environment that cannot be used.
    """
    files = {
        name: folder / service.endpoints_file
        for name, service in sidecar.services.items()
        if service.endpoints_file is not None
    }
    endpoints = {}
    for name, file in files.items():
        with _at(document, "services", name, "endpoints_file"):
            endpoints[name] = read_endpoints(file, name)
    identity = None
    if sidecar.identity is not None:
        named = ("directory",) if sidecar.identity.directory is not None else ()
        with _at(document, "identity", *named):
            identity = identity_files(sidecar.identity, folder)
    own_version = version("infermesh-sidecar")
    traces = _traces(sidecar, environment)
    config = proxy_config(sidecar, identity, endpoints, traces.sample_rate if traces is not None else 0.0)
    return Launch(
        source=document.source,
        config=config.SerializeToString(deterministic=True),
        version=own_version,
        resource=resource(environment, {"service.name": sidecar.name, "service.version": own_version}),
        log_format=sidecar.log.format,
        log_requests=sidecar.log.requests,
        admin=sidecar.admin,
        ending=_ending(sidecar),
        calls=list(sidecar.services),
        warnings=list(_warnings(sidecar)),
        apps=[
            App(it.app.address, it.wait_for_app.path or "", it.wait_for_app.timeout.total_seconds())
            for it in sidecar.inbound
            if it.wait_for_app is not None
        ],
        traces=traces,
        captures=_captures(sidecar, folder),
        endpoint_files=files,
        functions=sorted(_functions(sidecar)),
        folder=folder,
        command=command,
    )


@contextmanager
def _at(document: Document, *path: str) -> Iterator[None]:
    """An error within the block is one of the field that named the file."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{document.place(path)}: {error}", error.hint) from error


def _traces(sidecar: Sidecar, environment: Mapping[str, str]) -> Traces | None:
    given = sidecar.tracing
    settings = {} if given.endpoint is None else {"level": "TIMESTAMPS"}
    config = TraceConfig.of(environment, settings, given.endpoint)
    if not config.on:
        return None
    share = given.sample if given.sample is not None else 1 / config.rate if config.rate else 0.0
    return Traces(share, config.queue, config.batch, config.delay_ms / 1000, given.endpoint)


def _ending(sidecar: Sidecar) -> Ending:
    given = sidecar.shutdown
    app_exit = given.wait_for_app_exit
    return Ending(
        drain_delay=given.drain_delay.total_seconds(),
        drain_timeout=given.drain_timeout.total_seconds(),
        apps=[it.app.address for it in sidecar.inbound] if app_exit is not None else [],
        # A command that is run is waited for in any case.
        app_timeout=(app_exit or AppExit()).timeout.total_seconds(),
    )


def _captures(sidecar: Sidecar, folder: Path) -> Captures | None:
    if (given := sidecar.capture) is None:
        return None
    return Captures(
        folder / given.directory, given.max_file, given.max_file_age.total_seconds(), given.max_total
    )


def _functions(sidecar: Sidecar) -> set[str]:
    listeners: list[Listener] = [*sidecar.inbound, *sidecar.outbound]
    enrichments = [it for listener in listeners for it in listener.enrich]
    enrichments += [it for listener in listeners for route in listener.routes for it in route.enrich]
    return {it.transform for it in enrichments if it.transform is not None}


def _warnings(sidecar: Sidecar) -> Iterator[str]:
    """Sentences about what is allowed, and may not be meant."""
    if sidecar.tls is not None:
        return
    open_to_all = "is reached from other machines and speaks plaintext: whoever reaches it may call"
    for inbound in sidecar.inbound:
        if inbound_tls(inbound, sidecar) == "off" and not _is_local(inbound.listen):
            remedy = "give it an identity, or say tls: mesh where Istio or Linkerd encrypts, or tls: off"
            yield f"{inbound.listen} {open_to_all} the app; {remedy}"
    for outbound in sidecar.outbound:
        if outbound.tls == "off" and not _is_local(outbound.listen):
            yield f"{outbound.listen} {open_to_all} services as the app; listen on 127.0.0.1, or say tls: off"


def _is_local(address: str) -> bool:
    parts = split_address(address)
    return parts is None or parts[0] in ("localhost", "::1") or parts[0].startswith("127.")
