"""Both sides of the app as listeners."""

from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb

from infermesh_sidecar.settings.listeners import Listener
from infermesh_sidecar.settings.resolve import app_names, inbound_tls, listener_names
from infermesh_sidecar.settings.sidecar import Sidecar
from infermesh_sidecar.translate.routes import inbound_routes, outbound_routes
from infermesh_sidecar.translate.units import nanoseconds

_TLS = {
    "off": pb.LISTENER_TLS_UNSPECIFIED,
    "mutual": pb.LISTENER_TLS_MUTUAL,
    "permissive": pb.LISTENER_TLS_PERMISSIVE,
}


def listeners(sidecar: Sidecar) -> list[pb.Listener]:
    """All of them, the inbound ones first."""
    made = []
    names = listener_names(sidecar.inbound, "inbound")
    for name, app, inbound in zip(names, app_names(sidecar), sidecar.inbound, strict=True):
        listener = _listener(name, inbound, inbound_tls(inbound, sidecar), pb.DIRECTION_INBOUND)
        listener.routes.extend(inbound_routes(inbound, app, sidecar))
        made.append(listener)
    names = listener_names(sidecar.outbound, "outbound")
    for name, outbound in zip(names, sidecar.outbound, strict=True):
        listener = _listener(name, outbound, outbound.tls, pb.DIRECTION_OUTBOUND)
        listener.routes.extend(outbound_routes(outbound, sidecar))
        made.append(listener)
    return made


def _listener(name: str, given: Listener, tls: str, direction: pb.Direction.ValueType) -> pb.Listener:
    return pb.Listener(
        name=name,
        address=given.listen,
        direction=direction,
        tls=_TLS[tls],
        permissions=[
            pb.Permission(identities=it.identities, paths=it.paths, methods=it.methods)
            for it in given.allow or ()
        ],
        idle_timeout_ns=nanoseconds(given.idle_timeout),
        max_connection_age_ns=nanoseconds(given.max_connection_age),
        max_connection_age_grace_ns=nanoseconds(given.max_connection_age_grace),
    )
