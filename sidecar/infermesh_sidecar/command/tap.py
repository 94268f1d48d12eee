"""``infermesh sidecar tap``: requests as they pass."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import typer
from infermesh.errors import ConfigurationError
from infermesh.settings.values import ExpectedError, parse_duration
from rich.console import Console

from infermesh_sidecar.admin import Admin
from infermesh_sidecar.command.live import shown


@dataclass(frozen=True)
class Wanted:
    """Which requests: all that is given has to fit."""

    listener: str | None = None
    route: str | None = None
    cluster: str | None = None
    #: Any of them.
    codes: Sequence[str] = ()
    #: A time such as 50ms.
    min_duration: str | None = None

    def query(self) -> dict[str, str | Sequence[str] | None]:
        """As the admin endpoint has it. Raises ConfigurationError for what is no time."""
        return {
            "listener": self.listener,
            "route": self.route,
            "cluster": self.cluster,
            "code": self.codes,
            "min_ms": None if self.min_duration is None else f"{_milliseconds(self.min_duration):g}",
        }


def run(address: str, wanted: Wanted, *, as_json: bool) -> None:
    """Show requests until the sidecar ends or somebody interrupts. Raises InfermeshError if there is none."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        for event in Admin(address).tap(wanted.query()):
            if as_json:
                typer.echo(event, nl=False)
            elif (line := shown(json.loads(event), datetime.now())) is not None:
                console.print(line)
    except KeyboardInterrupt:
        # That is how one stops looking.
        return


def _milliseconds(text: str) -> float:
    try:
        return parse_duration(text).total_seconds() * 1000
    except ExpectedError as error:
        raise ConfigurationError(f"--min-duration: found {text!r}, expected {error}") from error
