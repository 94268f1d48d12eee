"""Which requests something is about."""

from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb

from infermesh_sidecar.settings.matches import Fit, Match

_PROTOCOLS = {"any": pb.PROTOCOL_UNSPECIFIED, "grpc": pb.PROTOCOL_GRPC, "http": pb.PROTOCOL_HTTP}


def match(given: Fit) -> pb.Match:
    """See the message."""
    return pb.Match(
        path=given.path or "",
        prefix=given.prefix or "",
        methods=given.methods,
        authorities=given.authorities,
        headers=given.headers,
        protocol=_PROTOCOLS[given.protocol],
        any=map(match, given.any) if isinstance(given, Match) else (),
    )
