"""The ``infermesh serve`` command, made from its options; nothing heavy to import."""

import inspect
from dataclasses import MISSING, fields
from typing import Annotated, Any, get_origin, get_type_hints

from infermesh_servers.model.options import ServeOptions


def serve(**given: Any) -> None:
    """Serve a model repository over gRPC and HTTP.

    Clients speak the Open Inference Protocol v2: tritonclient, KServe, stubs generated from its .proto, or
    plain HTTP.
    """
    named: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }
    options = ServeOptions(**named)
    # Only here, so that help and shell completion answer without the data plane.
    from infermesh_servers.model.process import run

    run(options)


def _parameters() -> list[inspect.Parameter]:
    hints = get_type_hints(ServeOptions, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=_repeatable(hints[field.name]),
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
        )
        for field in fields(ServeOptions)
    ]


def _repeatable(hint: Any) -> Any:
    """Typer reads a tuple as a fixed number of values; an option that may be repeated is a list to it."""
    if get_origin(hint.__origin__) is not tuple:
        return hint
    return Annotated[(list[str], *hint.__metadata__)]


# Typer reads a command's options off its signature.
serve.__signature__ = inspect.Signature(_parameters())  # type: ignore[attr-defined]
serve.__annotations__ = {parameter.name: parameter.annotation for parameter in _parameters()}
