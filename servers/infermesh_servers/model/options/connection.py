"""Rules of gRPC connections."""

from dataclasses import dataclass
from typing import Annotated

import typer


def _milliseconds(help_: str, least: int = 1, **more: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(min=least, metavar="MS", help=help_, **more)  # type: ignore[arg-type]
    return option


@dataclass(frozen=True, kw_only=True)
class ConnectionOptions:
    """The life of connections, with Triton's flags, units and defaults."""

    grpc_max_connection_age: Annotated[
        int | None,
        _milliseconds(
            "Ask connections of this age to leave, give or take a tenth.", show_default="they may stay"
        ),
    ] = None
    grpc_max_connection_age_grace: Annotated[
        int | None,
        _milliseconds("What requests are given to end then.", 0, show_default="as long as they take"),
    ] = None
    grpc_keepalive_time: Annotated[int, _milliseconds("Ping a client that has sent nothing for so long.")] = (
        7_200_000
    )
    grpc_keepalive_timeout: Annotated[
        int, _milliseconds("Cut a client off that sends nothing for so long after a ping.")
    ] = 20_000
    grpc_keepalive_permit_without_calls: Annotated[
        bool, typer.Option(help="Whether pings are in order while no request is under way.")
    ] = False
    grpc_http2_max_pings_without_data: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Pings in a row without data between them; 0 is any number."),
    ] = 2
    grpc_http2_min_recv_ping_interval_without_data: Annotated[
        int, _milliseconds("Clients' pings without data between them must be so far apart.", 0)
    ] = 300_000
    grpc_http2_max_ping_strikes: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Pings that may come too soon before a client is cut off; 0 is any number.",
        ),
    ] = 2
    write_timeout_secs: Annotated[
        float,
        typer.Option(
            min=0.1,
            metavar="SECS",
            help="Cut a client off, over gRPC or HTTP, that takes nothing of its answers for so long.",
        ),
    ] = 60.0
