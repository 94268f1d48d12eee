"""The options of the ``infermesh identity`` commands; each command is in the module of its name."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from infermesh.identity.layout import DEFAULT_FOLDER

app = typer.Typer(
    name="identity",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: infermesh identity init, then infermesh identity issue NAME",
)

_Folder = Annotated[
    Path, typer.Option("--dir", metavar="DIR", help="Folder of the local authority, and of what it issues.")
]


class Format(StrEnum):
    """How ``show`` writes."""

    TEXT = "text"
    JSON = "json"


@app.callback()
def _identity() -> None:
    """Say who a process is: a local authority for development, and SPIFFE identities for mTLS."""


@app.command("init")
def _init(
    folder: _Folder = DEFAULT_FOLDER,
    trust_domain: Annotated[
        str, typer.Option(metavar="NAME", help="What the identities have in common: spiffe://NAME/...")
    ] = "local.infermesh",
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace an authority. Whatever it has issued is worth nothing then."),
    ] = False,
) -> None:
    """Make a certificate authority for development.

    Whoever has its key can be anybody in the trust domain: it is for one machine or a team's test cluster. In
    production cert-manager or SPIRE issue identities.
    """
    from infermesh.identity.command import init

    init.run(folder, trust_domain, force=force)


@app.command("issue")
def _issue(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", show_default=False, help="Such as shop or shop/web, or a whole id: spiffe://..."
        ),
    ],
    dns: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="Host name by which clients reach it; may be repeated."),
    ] = [],  # noqa: B006 - Typer's way to say that there are none
    ip: Annotated[
        list[str], typer.Option(metavar="ADDRESS", help="Address by which clients reach it; may be repeated.")
    ] = [],  # noqa: B006
    ttl: Annotated[
        str, typer.Option(metavar="TIME", help="How long it is valid: 90s, 30m, 24h, 7d.")
    ] = "24h",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            show_default="a folder called as the identity, below --dir",
            help="Folder for tls.crt, tls.key and ca.crt.",
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Stay, and issue anew at 70 % of its life, until SIGTERM or Ctrl-C."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace somebody else's identity in the folder.")
    ] = False,
    folder: _Folder = DEFAULT_FOLDER,
) -> None:
    """Issue an identity: a certificate for mTLS, as a server and as a client.

    The files are replaced together, and whoever reads them sees a key with its certificate. Servers and
    sidecars take new ones without a restart.
    """
    from infermesh.identity.command import issue

    issue.run(folder, name, dns, ip, ttl, output, watch=watch, force=force)


@app.command("show")
def _show(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A folder with an identity (of infermesh, cert-manager or SPIRE), a file in PEM, or the "
            "folder of an authority: then what it has issued, too.",
        ),
    ] = DEFAULT_FOLDER,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Authorities to hold it against instead, such as those that the other side has.",
        ),
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help="text or json.")
    ] = Format.TEXT,
) -> None:
    """Show who it is, for how long, and whether others will believe it.

    Exits with 1 if anything is wrong, and says what and why and what to do.
    """
    from infermesh.identity.command import show

    if not show.run(path, ca, as_json=format_ is Format.JSON):
        raise typer.Exit(1)
