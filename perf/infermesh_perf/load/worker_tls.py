"""Mutual TLS between a coordinator and its workers: each shows the other a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc

from infermesh_perf.errors import SetupError
from infermesh_perf.target.tls import TlsFiles


@dataclass(frozen=True)
class WorkerTls:
    """PEM: whom to trust, and what this side shows."""

    authorities: bytes
    certificate: bytes
    key: bytes

    @classmethod
    def read(
        cls, cacert: Path | None, cert: Path | None, key: Path | None, prefix: str = "--"
    ) -> WorkerTls | None:
        """None if no file is given. `prefix` stands before `cacert`, `cert` and `key` in the options' names.

        Raises SetupError if one of the three is missing, cannot be read or does not fit the others.
        """
        given = {"cacert": cacert, "cert": cert, "key": key}
        missing = [f"{prefix}{name}" for name, path in given.items() if path is None]
        if len(missing) == len(given):
            return None
        if missing:
            raise SetupError(
                f"{' and '.join(missing)} is missing: a coordinator and its workers both show a certificate",
                hint=f"give {prefix}cacert, {prefix}cert and {prefix}key",
            )
        found = TlsFiles(cacert, cert, key, prefix=prefix).read()
        return cls(found.authorities, found.certificate, found.key)

    def client(self) -> grpc.ChannelCredentials:
        """For the coordinator."""
        return grpc.ssl_channel_credentials(self.authorities, self.key, self.certificate)

    def server(self) -> grpc.ServerCredentials:
        """For a worker: who shows no certificate of the authority is not let in."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)], self.authorities, require_client_auth=True
        )
