"""What the command line says of a sidecar: a file, or a small configuration in place of one."""

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

import typer
from infermesh.errors import ConfigurationError
from infermesh.logs import LogFormat

#: What the service of a command line is called.
UPSTREAM = "upstream"


@dataclass(frozen=True)
class StartOptions:
    """Options of the commands that start a sidecar."""

    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="The configuration: sidecar.yaml says it all."),
    ] = None
    listen: Annotated[
        str | None,
        typer.Option(metavar="ADDR", help="Instead of --config: where to listen, HOST:PORT or unix:PATH."),
    ] = None
    upstream: Annotated[
        list[str],
        typer.Option(metavar="ADDR[,ADDR]", help="Where requests go: a service's endpoints, or the app."),
    ] = field(default_factory=list)
    inbound: Annotated[
        bool | None,
        typer.Option(
            "--inbound/--outbound",
            show_default="--outbound",
            help="Whether it stands before the app, or between the app and a service.",
        ),
    ] = None
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The app, in logs, metrics and traces.")
    ] = None
    admin: Annotated[
        str | None,
        typer.Option(
            metavar="ADDR", show_default="127.0.0.1:15000", help="Where the admin endpoint is; off: nowhere."
        ),
    ] = None
    identity: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder of an identity, with which it speaks mutual TLS."),
    ] = None
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time for a request, such as 200ms or 1.5s.")
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", show_default="one per core, two at most", help="Network threads."),
    ] = None
    log_format: Annotated[
        LogFormat | None,
        typer.Option(metavar="FORMAT", show_default="auto", help="text, ISO8601, json, or auto."),
    ] = None
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="Write a record for every request.")
    ] = False

    def check(self) -> None:
        """Raise ConfigurationError for options that do not fit together."""
        if self.config is None and (self.listen is None or not self.upstream):
            raise ConfigurationError(
                "found nothing to do, expected --config FILE, or --listen ADDR and --upstream ADDR",
                hint="infermesh sidecar --listen 127.0.0.1:15001 --upstream 127.0.0.1:8001",
            )
        if self.config is not None and (beside := [it for it in self.given() if it != "--config"]):
            raise ConfigurationError(
                f"found {', '.join(beside)} beside --config, expected it in {self.config}",
                hint="--print-config shows what options stand for, as a file",
            )

    def data(self) -> tuple[dict[str, Any], dict[tuple[str | int, ...], str]]:
        """The configuration that the options stand for, and which of them says what."""
        endpoints = [it for given in self.upstream for it in given.split(",")]
        data: dict[str, Any] = {"log": {"requests": self.log_requests}}
        options: dict[tuple[str | int, ...], str] = {}

        def say(option: str, value: Any, *path: str) -> None:
            if value is None:
                return
            options[path] = option
            section = data
            for step in path[:-1]:
                section = section.setdefault(step, {})
            section[path[-1]] = value

        say("--name", self.name, "name")
        say("--admin", False if self.admin == "off" else self.admin, "admin")
        say("--threads", self.threads, "threads")
        say("--log-format", None if self.log_format is None else str(self.log_format), "log", "format")
        say("--identity", self.identity, "identity", "directory")
        if self.inbound:
            if len(endpoints) > 1:
                raise ConfigurationError(f"--upstream: found {len(endpoints)} addresses, expected the app's")
            say("--listen", self.listen, "inbound", "listen")
            say("--upstream", endpoints[0], "inbound", "app")
            say("--timeout", self.timeout, "inbound", "timeout")
        else:
            say("--listen", self.listen, "outbound", "listen")
            say("--upstream", endpoints, "services", UPSTREAM, "endpoints")
            say("--timeout", self.timeout, "services", UPSTREAM, "timeout")
        return data, options

    def given(self) -> Iterator[str]:
        """The names of the options that say something."""
        for option in fields(self):
            if getattr(self, option.name) != _default(option):
                name = "outbound" if self.inbound is False and option.name == "inbound" else option.name
                yield f"--{name.replace('_', '-')}"


def _default(option: Field[Any]) -> Any:
    return option.default if option.default is not MISSING else []
