"""``infermesh sidecar tap``: requests as they pass.

The sidecar sends a JSON object for each that has ended, with what the access log has of it, and one with
``lost`` where its reader was too slow. Fields that a request has no value for are left out.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import typer
from rich.console import Console
from rich.text import Text

from infermesh_sidecar.command import admin as endpoint
from infermesh_sidecar.command.times import shown_time


def run(admin: str, wanted: Mapping[str, str | None], *, as_json: bool) -> None:
    """Show requests until the sidecar ends or somebody interrupts; raises InfermeshError if none answers."""
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    console = Console(highlight=False, soft_wrap=True)
    try:
        for event in endpoint.lines(admin, f"/tap?{query}" if query else "/tap"):
            if as_json:
                typer.echo(json.dumps(event))
            else:
                console.print(shown(event))
    except KeyboardInterrupt:
        typer.echo()


def shown(event: Mapping[str, Any]) -> Text:
    """One line: how it ended, how long it took, what was asked of whom, and why it failed if it did."""
    if "lost" in event:
        return Text(f"{event['lost']} requests passed too fast to be shown", style="yellow")
    code = str(event.get("grpc_code", event.get("http_status", "-")))
    line = Text()
    line.append(f"{str(event.get('time', ''))[11:23]:13}", style="dim")
    line.append(f"{code:20}", style="green" if _is_good(code) else "red")
    line.append(f"{shown_time(event.get('duration_seconds', 0.0)):>9}  ")
    line.append(f"{event.get('method', '')} {event.get('path', '')}  ")
    way = f"{event.get('listener', '')}/{event.get('route', '')} -> {event.get('endpoint', 'nobody')}"
    line.append(way, style="cyan")
    if event.get("attempts", 1) > 1:
        line.append(f"  {event['attempts']} attempts", style="yellow")
    if who := event.get("identity", event.get("peer")):
        line.append(f"  from {who}", style="dim")
    if problem := event.get("error"):
        line.append(f"  {problem}", style="red")
    return line


def _is_good(code: str) -> bool:
    return code == "OK" or code[:1] in "123"
