"""One server with all that it takes to talk to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.errors import SetupError
from infermesh_perf.target import headers as header_options
from infermesh_perf.target.address import Address, parse
from infermesh_perf.target.headers import Headers
from infermesh_perf.target.tls import Tls, TlsFiles


@dataclass(frozen=True)
class Target:
    """Where requests go and what they carry beside tensors; `tls` is None for plaintext.

    `authority` is what `:authority` or `Host` says; empty for the address.
    """

    address: Address
    tls: Tls | None = None
    headers: Headers = ()
    authority: str = ""

    def message(self, *, streaming: bool = False) -> load_pb2.Target:
        """What a load plan says. Raises SetupError for streams over HTTP, which has none."""
        return load_pb2.Target(
            address=self.address.text,
            protocol=self._protocol(streaming),
            tls=self.tls.message() if self.tls else None,
            authority=self.authority or (self.address.authority if self.address.path else ""),
        )

    def _protocol(self, streaming: bool) -> load_pb2.Protocol.ValueType:
        if self.address.protocol == "grpc":
            return load_pb2.PROTOCOL_GRPC_STREAM if streaming else load_pb2.PROTOCOL_GRPC
        if streaming:
            raise SetupError("streams need gRPC, found -i http", hint="-i grpc, with the gRPC port in -u")
        return load_pb2.PROTOCOL_HTTP


def target(
    url: str = "", protocol: str = "", tls: TlsFiles | None = None, headers: Iterable[str] = ()
) -> Target:
    """The target that `-u`, `-i`, the options of TLS and `-H` describe.

    A header `host` becomes the authority, as gateways route by it. Raises SetupError for what is wrong there.
    """
    files = tls or TlsFiles()
    address = parse(url, protocol, tls=files.given)
    found = header_options.parse(headers)
    return Target(
        address,
        files.read() if address.tls else None,
        tuple((name, value) for name, value in found if name != "host"),
        next((value for name, value in found if name == "host"), ""),
    )
