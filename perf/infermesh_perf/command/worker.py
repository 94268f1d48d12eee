"""`infermesh perf worker`: sends what a coordinator on another machine says; nothing heavy to import."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """\b
Examples:
  infermesh perf worker
  infermesh perf worker --listen 0.0.0.0:9410 --cacert ca.pem --cert worker.pem --key worker.key
"""


def worker(
    listen: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Where coordinators find it; port 0 is any free one."),
    ] = "127.0.0.1:9410",
    cacert: Annotated[
        Path | None, typer.Option(help="Mutual TLS: authorities that sign coordinators' certificates, PEM.")
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="Mutual TLS: this worker's certificate, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="Mutual TLS: the key of --cert, PEM.")] = None,
    insecure_listen: Annotated[
        bool,
        typer.Option(
            "--insecure-listen", help="Listen beyond this machine without TLS: on networks that you trust."
        ),
    ] = False,
) -> None:
    """Send load for a coordinator, one run at a time, until Ctrl-C or SIGTERM.

    Whoever can connect makes this machine send requests to any address. Beyond this machine it therefore
    listens with mutual TLS only, unless you say otherwise.
    """
    from infermesh_perf.errors import SetupError
    from infermesh_perf.load.worker_address import parse
    from infermesh_perf.load.worker_server import serving
    from infermesh_perf.load.worker_tls import WorkerTls

    address = parse("--listen", listen, listens=True)
    tls = WorkerTls.read(cacert, cert, key)
    if tls is None and not address.is_loopback and not insecure_listen:
        raise SetupError(
            f"--listen {address}: whoever reaches it could send requests from this machine to anywhere",
            hint="give --cacert, --cert and --key, or --insecure-listen on a network that you trust",
        )
    if insecure_listen and (tls is not None or address.is_loopback):
        why = "TLS is given" if tls is not None else f"{address} is reached from this machine only"
        raise SetupError(f"--insecure-listen is without effect: {why}", hint="leave it out")
    asked_to_end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_end.set())
    with serving(address, tls, _say) as bound:
        secured = "with mutual TLS" if tls is not None else "without TLS"
        _say(f"listening on {bound} {secured}, Ctrl-C ends it")
        asked_to_end.wait()


def _say(text: str) -> None:
    # A line at a time, also into a file.
    typer.echo(text)
