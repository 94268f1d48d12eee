"""What secures a connection: files that the command line names, read and checked once."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.errors import SetupError


@dataclass(frozen=True)
class Tls:
    """How a server is known and how this client is known to it; PEM, empty where there is none.

    `files` are the paths of the certificate and its key, which the standard library wants to read itself.
    """

    authorities: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    insecure: bool = False
    server_name: str = ""
    files: tuple[Path, Path] | None = None

    def context(self) -> ssl.SSLContext:
        """What the standard library's sockets need: the machine's own authorities unless others are given."""
        context = ssl.create_default_context(cadata=self.authorities.decode() or None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.files is not None:
            # Without a password an encrypted key is an error, and no question on the terminal.
            context.load_cert_chain(*self.files, password="")
        return context

    def message(self) -> load_pb2.Tls:
        """What the load generator is told."""
        return load_pb2.Tls(
            authorities=self.authorities,
            certificate=self.certificate,
            key=self.key,
            insecure=self.insecure,
            server_name=self.server_name,
        )


@dataclass(frozen=True)
class TlsFiles:
    """The options as they were given; `prefix` is what their names begin with."""

    cacert: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False
    server_name: str = ""
    prefix: str = field(default="--", compare=False)

    @property
    def given(self) -> bool:
        """Whether any of them asks for TLS."""
        return self != TlsFiles()

    def read(self) -> Tls:
        """Their contents.

        Raises SetupError for options that contradict each other, a file that cannot be read or holds no PEM,
        and a key that does not belong to the certificate.
        """
        if self.insecure and self.cacert is not None:
            raise SetupError(
                "--insecure accepts any certificate, so --cacert is without effect: give one of them"
            )
        if self.insecure and self.server_name:
            raise SetupError(
                "--insecure accepts any name, so --server-name is without effect: give one of them"
            )
        if (self.cert is None) != (self.key is None):
            given, absent = ("cert", "key") if self.cert is not None else ("key", "cert")
            raise SetupError(
                f"{self.prefix}{given} is given without {self.prefix}{absent}: "
                "a client certificate needs both"
            )
        tls = Tls(
            authorities=_read(f"{self.prefix}cacert", self.cacert),
            certificate=_read(f"{self.prefix}cert", self.cert),
            key=_read(f"{self.prefix}key", self.key),
            insecure=self.insecure,
            server_name=self.server_name,
            files=None if self.cert is None or self.key is None else (self.cert, self.key),
        )
        self._check(tls)
        return tls

    def _check(self, tls: Tls) -> None:
        try:
            Tls(authorities=tls.authorities).context()
        except (ssl.SSLError, ValueError) as error:
            raise SetupError(
                f"{self.prefix}cacert {self.cacert}: expected certificates in PEM: {error}"
            ) from error
        try:
            Tls(files=tls.files).context()
        except ssl.SSLError as error:
            raise SetupError(
                f"{self.prefix}cert {self.cert} and {self.prefix}key {self.key} are not a certificate "
                f"and its key in PEM: {error}",
                hint="a key must not be encrypted: `openssl pkey` writes it without its password",
            ) from error


def _read(option: str, path: Path | None) -> bytes:
    if path is None:
        return b""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SetupError(f"{option} {path}: cannot be read: {error.strerror}") from error
    if b"-----BEGIN " not in content:
        raise SetupError(f"{option} {path}: found no PEM, expected a block that starts with -----BEGIN")
    return content
