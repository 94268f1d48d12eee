"""`infermesh identity show`: what is in the files, and what is wrong with it."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.identity import examine, pem, report
from infermesh.identity.command.clock import now
from infermesh.identity.examine import Authority, Identity, Problem, Unreadable
from infermesh.identity.layout import (
    AUTHORITY_KEY,
    LAYOUTS,
    OWN,
    Files,
    Part,
    identities_below,
    layout_of,
    read_file,
    read_identity,
    read_together,
)

#: Columns of a stream that is no terminal: nothing is cut or wrapped there.
_WIDE = 1000


def run(path: Path, ca: Path | None, *, as_json: bool) -> bool:
    """Print what is there; returns whether all of it is in order.

    Raises ConfigurationError if nothing is there, and InfermeshError if it cannot be read at all.
    """
    moment = now()
    bundle = None if ca is None else read_file(ca)
    found = _look(path, bundle, moment)
    if as_json:
        typer.echo(json.dumps(_fields(found, moment), indent=2))
    else:
        _print(found, moment)
    everything = [found] if not isinstance(found, tuple) else [found[0], *found[1]]
    return not any(it.problems for it in everything)


#: An identity, an authority, or an authority with what it has issued.
_Found = Identity | Authority | tuple[Authority, list[Identity | Unreadable]]


def _look(path: Path, bundle: Part | None, moment: datetime) -> _Found:
    # Whoever names the certificate of an identity means what lies beside it, too.
    if any(path.name == layout.certificate for layout in LAYOUTS):
        path = path.parent
    if path.is_file():
        return _look_at_file(path, bundle, moment)
    if layout_of(path) is None and (path / OWN.bundle).exists():
        return _look_at_all(path, bundle, moment)
    return examine.identity(path, read_identity(path), moment, bundle)


def _look_at_file(path: Path, bundle: Part | None, moment: datetime) -> Identity | Authority:
    part = read_file(path)
    key = part if pem.has_key(part) else None
    if not examine.is_authority(pem.certificates(part)[0]):
        return examine.identity(path, Files(part, key, None), moment, bundle)
    if bundle is not None:
        raise ConfigurationError(
            f"{path} is the certificate of an authority, and --ca is what an identity is held against",
            hint="name an identity, or leave --ca out",
        )
    return examine.authority(path, part, key, moment)


def _look_at_all(folder: Path, bundle: Part | None, moment: datetime) -> _Found:
    certificate, key = read_together(folder, (OWN.bundle, AUTHORITY_KEY))
    if certificate is None:
        raise InfermeshError(f"cannot read {folder / OWN.bundle}: it does not exist any more")
    authority = examine.authority(folder / OWN.bundle, certificate, key, moment)
    issued: list[Identity | Unreadable] = []
    for path in identities_below(folder):
        try:
            # By what the authority is now: one that was made anew does not stand by what was issued before.
            issued.append(examine.identity(path, read_identity(path), moment, bundle or certificate))
        except InfermeshError as error:
            issued.append(Unreadable(path, (Problem(str(error), error.hint),)))
    return authority, issued


def _fields(found: _Found, moment: datetime) -> dict[str, Any]:
    match found:
        case Identity():
            return report.identity_fields(found, moment)
        case Authority():
            return report.authority_fields(found, moment)
        case (authority, issued):
            return {
                "authority": report.authority_fields(authority, moment),
                "identities": [
                    report.identity_fields(it, moment)
                    if isinstance(it, Identity)
                    else report.unreadable_fields(it)
                    for it in issued
                ],
            }


def _print(found: _Found, moment: datetime) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)
    match found:
        case Identity():
            report.show_identity(found, moment, console)
        case Authority():
            report.show_authority(found, moment, console)
        case (authority, issued):
            report.show_authority(authority, moment, console)
            report.show_identities(issued, moment, console)
