"""``infermesh sidecar status``: what a sidecar says of itself."""

import json
import time
from collections.abc import Iterable, Iterator

import typer
from infermesh.errors import InfermeshError
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from infermesh_sidecar.admin import Admin
from infermesh_sidecar.command.tables import Fields, parts, since

#: Columns of a stream that is no terminal: nothing is wrapped there.
_WIDE = 1000


def run(address: str, *, as_json: bool) -> None:
    """Show it once. Raises InfermeshError if there is no sidecar, or if it is not ready."""
    stats, certificates = _look(Admin(address))
    if as_json:
        typer.echo(_json(stats, certificates, indent=2))
    else:
        _console().print(_shown(stats, certificates))
    if not stats["ready"]:
        raise InfermeshError(f"the sidecar at {address} is not ready: {stats['unready_because']}")


def watch(address: str, interval: float, *, as_json: bool) -> None:
    """Show it anew every so many seconds, until somebody interrupts; rates are those of the last interval.

    Raises InfermeshError if there is no sidecar, or none any more.
    """
    looks = _looks(Admin(address), interval)
    try:
        if as_json:
            for stats, certificates in looks:
                typer.echo(_json(stats, certificates))
        else:
            _refresh(_console(), (_shown(*look) for look in looks))
    except KeyboardInterrupt:
        # That is how one stops looking.
        return


def _refresh(console: Console, shown: Iterable[Group]) -> None:
    """In place, on a terminal; one below the other elsewhere."""
    if not console.is_terminal:
        for it in shown:
            console.print(it)
        return
    with Live(console=console, auto_refresh=False) as live:
        for it in shown:
            live.update(it, refresh=True)


def _looks(admin: Admin, interval: float) -> Iterator[tuple[Fields, Fields]]:
    earlier: Fields | None = None
    while True:
        stats, certificates = _look(admin)
        yield (stats if earlier is None else since(earlier, stats)), certificates
        earlier = stats
        time.sleep(interval)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDE)


def _look(admin: Admin) -> tuple[Fields, Fields]:
    return admin.get("/stats"), admin.get("/certificates")


def _shown(stats: Fields, certificates: Fields) -> Group:
    blank = Text()
    return Group(*(it for part in parts(stats, certificates) for it in (part, blank)))


def _json(stats: Fields, certificates: Fields, indent: int | None = None) -> str:
    return json.dumps({**stats, "certificates": certificates}, indent=indent)
