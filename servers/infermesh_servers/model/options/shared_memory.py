"""Whether tensors may lie in memory that clients share with the server."""

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True, kw_only=True)
class SharedMemoryOptions:
    """The shared memory extensions."""

    allow_client_shm: Annotated[
        bool | None,
        typer.Option(
            help="Whether clients may register shared memory of this machine for their inputs and outputs."
            " Without the flag, those may that connect by loopback or by a unix socket.",
            show_default=False,
        ),
    ] = None
