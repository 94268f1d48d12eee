"""Which requests are traced, and where the traces go."""

import os
from dataclasses import dataclass
from typing import Annotated

import typer
from infermesh.telemetry.trace_config import TraceConfig

from infermesh_servers.model.trace_flags import read_flags


@dataclass(frozen=True, kw_only=True)
class TraceOptions:
    """Tracing, with Triton's flag; OpenTelemetry's environment variables hold for what it does not say."""

    trace_config: Annotated[
        tuple[str, ...],
        typer.Option(
            metavar="SETTING",
            help="level=TIMESTAMPS|OFF, rate=N, count=N, mode=opentelemetry, opentelemetry,url=URL, "
            "opentelemetry,resource=KEY=VALUE; may be repeated.",
        ),
    ] = ()

    def check(self) -> None:
        """Raise ConfigurationError for settings that cannot be used."""
        _ = self.tracing

    @property
    def tracing(self) -> TraceConfig:
        """All that the flag and the environment say. Raises ConfigurationError."""
        return read_flags(self.trace_config, os.environ)
