"""The ``infermesh serve`` command: its options, and nothing heavy to import."""

from pathlib import Path
from typing import Annotated

import typer
from infermesh.logs import LogFormat

from infermesh_servers.model.options import (
    DEFAULT_GRPC_PORT,
    DEFAULT_HTTP_PORT,
    DEFAULT_METRICS_PORT,
    ModelControlMode,
    ServeOptions,
)


def serve(
    repository: Annotated[
        Path,
        typer.Argument(
            metavar="REPOSITORY", help="Model repository in Triton's layout: REPOSITORY/NAME/1/model.onnx."
        ),
    ],
    grpc_address: Annotated[
        str, typer.Option(metavar="HOST", help="Address to listen on for gRPC.")
    ] = "0.0.0.0",
    grpc_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            show_default=f"{DEFAULT_GRPC_PORT}; none with --grpc-socket alone",
            help="Port to listen on for gRPC; 0 picks a free one.",
        ),
    ] = None,
    grpc_socket: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Unix socket to listen on; with --grpc-port, beside it."),
    ] = None,
    http: Annotated[bool, typer.Option(help="Whether to serve HTTP: JSON and binary tensors.")] = True,
    http_address: Annotated[
        str, typer.Option(metavar="HOST", help="Address to listen on for HTTP.")
    ] = "0.0.0.0",
    http_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            show_default=f"{DEFAULT_HTTP_PORT}; none with --grpc-socket alone",
            help="Port to listen on for HTTP; 0 picks a free one.",
        ),
    ] = None,
    metrics: Annotated[bool, typer.Option(help="Whether to serve Prometheus' /metrics.")] = True,
    metrics_address: Annotated[
        str | None,
        typer.Option(metavar="HOST", show_default="that of HTTP", help="Address to listen on for /metrics."),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            show_default=f"{DEFAULT_METRICS_PORT}; none with --grpc-socket alone",
            help="Port to listen on for /metrics; 0 picks a free one.",
        ),
    ] = None,
    model_control_mode: Annotated[
        ModelControlMode,
        typer.Option(
            metavar="MODE",
            help="none: load the repository once; poll: follow its changes; explicit: load what is named.",
        ),
    ] = ModelControlMode.NONE,
    load_model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Model to load in explicit mode; may be repeated, '*' is every model."
        ),
    ] = None,
    repository_poll_secs: Annotated[
        float,
        typer.Option(
            min=0.1, metavar="SECS", help="Seconds between two looks at the repository in poll mode."
        ),
    ] = 15.0,
    exit_timeout_secs: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECS", help="Seconds that accepted requests are given to end after SIGTERM."
        ),
    ] = 30.0,
    strict_readiness: Annotated[
        bool, typer.Option(help="Report ready only if every model is; otherwise as soon as loading ends.")
    ] = True,
    exit_on_error: Annotated[
        bool, typer.Option(help="Exit if a model cannot be loaded at start; otherwise serve the rest.")
    ] = False,
    io_threads: Annotated[
        int, typer.Option(min=0, metavar="N", help="Threads for connections; 0 is one per core.")
    ] = 0,
    log_format: Annotated[
        LogFormat,
        typer.Option(
            metavar="FORMAT",
            help="text, json (Elastic Common Schema), or auto: text on a terminal, JSON elsewhere.",
        ),
    ] = LogFormat.AUTO,
) -> None:
    """Serve a model repository over gRPC and HTTP.

    Clients speak the Open Inference Protocol v2: tritonclient, KServe, stubs generated from its .proto, or
    plain HTTP.
    """
    options = ServeOptions(
        repository=repository,
        grpc_address=grpc_address,
        grpc_port=grpc_port,
        grpc_socket=grpc_socket,
        http=http,
        http_address=http_address,
        http_port=http_port,
        metrics=metrics,
        metrics_address=metrics_address,
        metrics_port=metrics_port,
        model_control_mode=model_control_mode,
        load_models=tuple(load_model or ()),
        repository_poll_secs=repository_poll_secs,
        exit_timeout_secs=exit_timeout_secs,
        strict_readiness=strict_readiness,
        exit_on_error=exit_on_error,
        io_threads=io_threads,
        log_format=log_format,
    )
    # Only here, so that help and shell completion answer without the data plane.
    from infermesh_servers.model.process import run

    run(options)
