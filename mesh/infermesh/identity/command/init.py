"""`infermesh identity init`: an authority for development."""

from pathlib import Path

import typer

from infermesh.errors import ConfigurationError
from infermesh.identity import store
from infermesh.identity.authority import Authority
from infermesh.identity.command.clock import now
from infermesh.identity.layout import AUTHORITY_KEY, OWN
from infermesh.identity.spiffe import parse_trust_domain


def run(folder: Path, trust_domain: str, *, force: bool) -> None:
    """Make an authority; raises ConfigurationError if there is one that is not to be replaced."""
    parse_trust_domain(trust_domain)
    if store.has_authority(folder) and not force:
        raise ConfigurationError(
            f"there is an authority in {folder} already",
            hint="issue from it with infermesh identity issue, name another folder with --dir, or replace it "
            "with --force: whatever it has issued is worth nothing then",
        )
    authority = Authority.create(trust_domain, now())
    store.save_authority(folder, authority)
    typer.echo(
        f"Authority of spiffe://{trust_domain}, until {authority.certificate.not_valid_after_utc:%Y-%m-%d}"
    )
    typer.echo(f"  {folder / OWN.bundle}  for everybody who is to trust it")
    typer.echo(
        f"  {folder / AUTHORITY_KEY}  for nobody else: whoever has it can be anybody in {trust_domain}"
    )
