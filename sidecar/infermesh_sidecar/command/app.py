"""The options of the ``infermesh sidecar`` commands; what they do is imported when they run."""

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
from infermesh.errors import ConfigurationError
from infermesh.grouped import grouped

from infermesh_sidecar.command.options import StartOptions

EXAMPLES = """\b
Examples:
  infermesh sidecar --config sidecar.yaml
  infermesh sidecar --listen 127.0.0.1:15001 --upstream 10.0.0.7:8001,10.0.0.8:8001 --timeout 200ms
  infermesh sidecar --inbound --listen 0.0.0.0:15006 --upstream 127.0.0.1:5000 --identity /run/identity
  infermesh sidecar --config sidecar.yaml --check
  infermesh sidecar --listen 127.0.0.1:15001 --upstream 127.0.0.1:8001 --print-config > sidecar.yaml
  infermesh sidecar run --config sidecar.yaml -- python nightly.py
"""

DEFAULT_ADMIN = "127.0.0.1:15000"

_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

app = typer.Typer(
    name="sidecar",
    invoke_without_command=True,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    context_settings=_SETTINGS,
    epilog=EXAMPLES,
)


class Format(StrEnum):
    """How a command writes."""

    TEXT = "text"
    JSON = "json"


_Admin = Annotated[
    str, typer.Option("--admin", metavar="ADDR", help="Where the sidecar's admin endpoint is.")
]
_Format = Annotated[
    Format | None,
    typer.Option(
        "--format", metavar="FORMAT", show_default="text on a terminal, else json", help="text or json."
    ),
]


@app.callback()
@grouped
def _sidecar(
    context: typer.Context,
    options: StartOptions,
    check: Annotated[
        bool, typer.Option("--check", help="Say what it would do, or what is wrong, and exit.")
    ] = False,
    print_config: Annotated[
        bool,
        typer.Option("--print-config", help="Write the whole configuration with its defaults, and exit."),
    ] = False,
) -> None:
    """Give an app inference, mutual TLS, retries and traces that it knows nothing of."""
    given = list(options.given())
    if context.invoked_subcommand is None:
        from infermesh_sidecar.command import start

        start.run(options, check=check, print_config=print_config)
    elif given or check or print_config:
        raise ConfigurationError(
            f"found {', '.join(given) or '--check or --print-config'} before {context.invoked_subcommand}, "
            "expected options behind the command",
        )


@app.command("run", context_settings={**_SETTINGS, "allow_interspersed_args": False})
@grouped
def _run(
    options: StartOptions,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="What to run.")],
) -> None:
    """Run a command with a sidecar: for a job, which ends, and takes the sidecar with it.

    The command is started when the sidecar listens. Signals are passed on to it; when it has ended, accepted
    requests are answered, and its exit code is that of the whole.
    """
    from infermesh_sidecar.command import start

    start.run_with(options, command)


@app.command("schema", context_settings=_SETTINGS)
def _schema() -> None:
    """Write the JSON Schema of sidecar.yaml, for editors.

    In VS Code: infermesh sidecar schema > sidecar.schema.json, and in the first line of sidecar.yaml
    # yaml-language-server: $schema=sidecar.schema.json
    """
    from infermesh_sidecar.command import schema

    schema.run()


@app.command("status", context_settings=_SETTINGS)
def _status(admin: _Admin = DEFAULT_ADMIN, format_: _Format = None) -> None:
    """Show whether a sidecar is ready, its routes, its endpoints with their breakers, and who it is.

    The exit code is 1 if it is not ready, or cannot be asked.
    """
    from infermesh_sidecar.command import status

    status.run(admin, as_json=_is_json(format_))


@app.command("tap", context_settings=_SETTINGS)
def _tap(
    admin: _Admin = DEFAULT_ADMIN,
    listener: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only requests to this listener.")
    ] = None,
    route: Annotated[str | None, typer.Option(metavar="NAME", help="Only requests of this route.")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only requests to this service, or to the app.")
    ] = None,
    code: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            help="Only answers like this: a gRPC code, an HTTP status, 5xx, or failure; may be repeated.",
        ),
    ] = None,
    min_ms: Annotated[
        float | None, typer.Option(min=0, metavar="MS", help="Only requests that took so long.")
    ] = None,
    format_: _Format = None,
) -> None:
    """Show requests as they pass, until it is interrupted."""
    from infermesh_sidecar.command import tap

    wanted = [
        ("listener", listener),
        ("route", route),
        ("cluster", cluster),
        *(("code", it) for it in code or []),
        ("min_ms", None if min_ms is None else f"{min_ms:g}"),
    ]
    tap.run(admin, wanted, as_json=_is_json(format_))


@app.command("drain", context_settings=_SETTINGS)
def _drain(
    admin: _Admin = DEFAULT_ADMIN,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it has ended.")] = False,
    timeout: Annotated[float, typer.Option(min=0, metavar="SECS", help="How long to wait for that.")] = 60.0,
) -> None:
    """Ask a sidecar to answer what it has accepted, and to end."""
    from infermesh_sidecar.command import drain

    drain.run(admin, wait=wait, timeout=timeout)


def _is_json(format_: Format | None) -> bool:
    return format_ is Format.JSON if format_ is not None else not sys.stdout.isatty()
