"""The whole of a ``ProxyConfig``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from infermesh.errors import ConfigurationError
from infermesh.identity.layout import locate
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb

from infermesh_sidecar.settings.process import Identity, Limits
from infermesh_sidecar.settings.resolve import app_names
from infermesh_sidecar.settings.sidecar import Sidecar
from infermesh_sidecar.translate.clusters import app_cluster, service_cluster
from infermesh_sidecar.translate.listeners import listeners


def proxy_config(
    sidecar: Sidecar,
    identity: pb.Identity | None,
    from_files: Mapping[str, Sequence[str]],
    sample_rate: float,
) -> pb.ProxyConfig:
    """What the data plane is told.

    ``identity`` are the files of the sidecar's, ``from_files`` the endpoints that files name, by service, and
    ``sample_rate`` is the share of the traces that begin here which are recorded.
    """
    return pb.ProxyConfig(
        name=sidecar.name,
        threads=sidecar.threads or 0,
        listeners=listeners(sidecar),
        clusters=[
            *(service_cluster(name, it, sidecar, from_files) for name, it in sidecar.services.items()),
            *map(app_cluster, app_names(sidecar), (it.app for it in sidecar.inbound)),
        ],
        identity=identity,
        limits=_limits(sidecar.limits),
        tracing=pb.Tracing(sample_rate=sample_rate, join=sidecar.tracing.join, b3=sidecar.tracing.b3),
    )


def identity_files(given: Identity, folder: Path) -> pb.Identity:
    """The files of an identity; ``folder`` is what paths are relative to.

    Raises ConfigurationError if one is not there.
    """
    if given.directory is not None:
        directory = folder / given.directory
        layout = locate(directory)
        names = [directory / it for it in (layout.certificate, layout.key, layout.bundle)]
    else:
        names = [folder / (it or "") for it in (given.certificate, given.key, given.authorities)]
    for name in names:
        if not name.is_file():
            what = "is no file" if name.exists() else "does not exist"
            raise ConfigurationError(f"{name} {what}, expected PEM")
    certificate, key, authorities = map(str, names)
    return pb.Identity(
        certificate_file=certificate,
        key_file=key,
        authorities_file=authorities,
        trust_domain=given.trust_domain or "",
    )


def _limits(given: Limits) -> pb.Limits:
    return pb.Limits(
        max_connections=given.max_connections,
        memory_bytes=given.memory,
        replay_bytes=given.replay,
        replay_request_bytes=given.replay_request,
        message_bytes=given.message,
    )
