"""``infermesh sidecar tap``: requests as they pass.

The sidecar sends a JSON object for the beginning and the end of each, with the fields of the access log, and
one where its reader was too slow to be told of all.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import typer
from rich.console import Console
from rich.text import Text

from infermesh_sidecar.command import admin as endpoint
from infermesh_sidecar.command.times import shown_time


def run(
    admin: str,
    wanted: Sequence[tuple[str, str | None]],
    *,
    as_json: bool,
    now: Callable[[], datetime] = datetime.now,
) -> None:
    """Show requests until the sidecar ends or somebody interrupts.

    ``wanted`` is what the sidecar is to choose by. Raises InfermeshError if none answers.
    """
    query = urlencode([(name, value) for name, value in wanted if value is not None])
    console = Console(highlight=False, soft_wrap=True)
    try:
        for event in endpoint.lines(admin, f"/tap?{query}" if query else "/tap"):
            if as_json:
                typer.echo(json.dumps(event))
                sys.stdout.flush()
            elif event["event"] != "begin":
                console.print(shown(event, now()))
    except KeyboardInterrupt:
        typer.echo()


def shown(event: Mapping[str, Any], now: datetime) -> Text:
    """One line: when, how it ended, how long it took, what was asked of whom by whom, why it failed."""
    if event["event"] == "lost":
        return Text(f"{event['count']} events came too fast to be shown", style="yellow")
    asked = event["url.path"]
    method = event.get("http.request.method")
    endpoint_ = event.get("server.address", "nobody")
    way = f"{event['infermesh.listener']}/{event.get('infermesh.route', '')} -> {endpoint_}"
    good = event["event.outcome"] == "success"
    line = Text()
    line.append(f"{now:%H:%M:%S}.{now.microsecond // 1000:03}  ", style="dim")
    line.append(f"{_end(event):18} ", style="green" if good else "red")
    line.append(f"{shown_time(event['event.duration'] / 1e9):>9}  ")
    line.append(f"{method} {asked}  " if method else f"{asked}  ")
    line.append(way, style="cyan")
    if event["infermesh.attempts"] > 1:
        line.append(f"  {event['infermesh.attempts']} attempts", style="yellow")
    line.append(f"  from {event.get('client.user.id', event['client.address'])}", style="dim")
    if problem := event.get("error.message"):
        line.append(f"  {event['infermesh.error.source']}: {problem}", style="red")
    return line


def _end(event: Mapping[str, Any]) -> str:
    """The code by its name where it has one: errors are named, a status is a number."""
    if event.get("rpc.grpc.status_code") == 0:
        return "OK"
    status = event.get("http.response.status_code")
    return str(status if status is not None else event.get("error.type", "-"))
