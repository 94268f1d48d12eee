"""The native proxy with nothing around it, where the command `infermesh sidecar` is not installed.

`bare_proxy.py --listen ADDR --upstream ADDR [--threads N] [--identity DIR --inbound|--outbound]`, as the
command takes them; what is not said is as the command has it: retries and breaker are on.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from infermesh.identity.layout import OWN
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb
from infermesh_native import Proxy, __version__

DRAIN_SECONDS = 10.0


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--identity", type=Path)
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--inbound", action="store_true")
    side.add_argument("--outbound", action="store_true")
    given = parser.parse_args()
    ends = {signal.SIGTERM, signal.SIGINT}
    # Before there are threads, which inherit it: the signal is for `sigwait` alone.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    proxy = Proxy(_config(given).SerializeToString(), version=__version__)
    proxy.listen()
    proxy.set_ready(True)
    signal.sigwait(ends)
    proxy.drain(DRAIN_SECONDS)


def _config(given: argparse.Namespace) -> pb.ProxyConfig:
    config = pb.ProxyConfig(name="bench", threads=given.threads)
    listener = config.listeners.add(name="bench", address=given.listen)
    listener.direction = pb.DIRECTION_INBOUND if given.inbound else pb.DIRECTION_OUTBOUND
    listener.routes.add(name="all", cluster="server").retry.SetInParent()
    cluster = config.clusters.add(name="server")
    cluster.static.endpoints.append(given.upstream)
    cluster.breaker.SetInParent()
    if given.identity is not None:
        config.identity.certificate_file = str(given.identity / OWN.certificate)
        config.identity.key_file = str(given.identity / OWN.key)
        config.identity.authorities_file = str(given.identity / OWN.bundle)
        if given.inbound:
            listener.tls = pb.LISTENER_TLS_MUTUAL
        else:
            cluster.tls.SetInParent()
    return config


if __name__ == "__main__":
    main()
