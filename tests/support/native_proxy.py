"""The native proxy in this process, from the text of a sidecar.yaml."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import infermesh_native
from infermesh_sidecar.translate.config import identity_files, proxy_config

from support.sidecar_settings import read


@dataclass(frozen=True)
class Proxying:
    """A proxy that listens."""

    proxy: infermesh_native.Proxy
    #: By the names of listeners.
    ports: dict[str, int]
    #: HOST:PORT.
    admin: str


@contextmanager
def proxying(text: str, *, folder: Path = Path(), sample_rate: float = 0.0) -> Iterator[Proxying]:
    """A proxy with these settings, ready, for as long as the block lasts.

    What is under way then is cut off.
    """
    sidecar = read(text)
    identity = None if sidecar.identity is None else identity_files(sidecar.identity, folder)
    config = proxy_config(sidecar, identity, {}, sample_rate)
    proxy = infermesh_native.Proxy(config.SerializeToString(), version="0")
    try:
        bound = proxy.listen()
        host, port = proxy.listen_admin()
        proxy.set_ready(True)
        ports = {name: int(address.rpartition(":")[2]) for name, address in bound.items()}
        yield Proxying(proxy, ports, f"{host}:{port}")
    finally:
        proxy.drain(0)
