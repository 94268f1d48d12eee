"""`infermesh identity issue`: an identity, and with `--watch` the next one in its place."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import typer
from cryptography import x509

from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.identity import store
from infermesh.identity.command.clock import now
from infermesh.identity.interruption import Interruption
from infermesh.identity.layout import OWN
from infermesh.identity.renewal import keep
from infermesh.identity.request import Request
from infermesh.identity.spiffe import SpiffeId
from infermesh.identity.times import point
from infermesh.logs import LogFormat, configure


def run(
    folder: Path,
    name: str,
    dns: Sequence[str],
    ips: Sequence[str],
    ttl: str,
    output: Path | None,
    *,
    watch: bool,
    force: bool,
) -> None:
    """Issue an identity; with ``watch``, go on to until the process is asked to end.

    Raises ConfigurationError for options that cannot be used, if there is no authority, or if the folder has
    somebody else's identity; InfermeshError if it cannot be written.
    """
    request = Request.of(store.load_authority(folder).trust_domain, name, dns, ips, ttl)
    place = output or _below(folder, request.id)
    if not force:
        _refuse_somebody_else(place, request.id)

    def issue(moment: datetime) -> x509.Certificate:
        # Read anew each time: an authority that was replaced is the one that others trust.
        authority = store.load_authority(folder)
        if authority.trust_domain != request.id.trust_domain:
            raise InfermeshError(
                f"the authority in {folder} speaks for {authority.trust_domain} now, expected "
                f"{request.id.trust_domain}"
            )
        issued = authority.issue(request, moment)
        store.save_identity(place, issued, authority)
        return issued.certificate

    if not watch:
        _say(request, place, issue(now()))
        return
    with Interruption() as interruption:
        certificate = issue(now())
        _say(request, place, certificate)
        configure(LogFormat.AUTO, {"service.name": "infermesh-identity"})
        keep(certificate, issue, clock=now, stopped=interruption.wait)


def _below(folder: Path, identity: SpiffeId) -> Path:
    segments = identity.path.split("/")[1:]
    if any(segment.startswith(".") for segment in segments):
        raise ConfigurationError(
            f"{identity}: the folder of its name would be hidden", hint="name one with --output"
        )
    return folder.joinpath(*segments)


def _refuse_somebody_else(place: Path, identity: SpiffeId) -> None:
    there = store.holder(place)
    if there is not None and there != str(identity):
        raise ConfigurationError(
            f"{place} has the identity of {there}, and {identity} was asked for",
            hint="name another folder with --output, or replace it with --force",
        )


def _say(request: Request, place: Path, certificate: x509.Certificate) -> None:
    ends = certificate.not_valid_after_utc
    typer.echo(f"{request.id}, until {point(ends)}")
    typer.echo(f"  {place / OWN.certificate}")
    typer.echo(f"  {place / OWN.key}")
    typer.echo(f"  {place / OWN.bundle}")
    if not (request.dns or request.ips):
        typer.echo("No host names: clients that go by them refuse it as a server (--dns localhost adds one).")
