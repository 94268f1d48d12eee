"""A request that has passed, as one line for people. Field names are those of the access log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

from infermesh_sidecar.command.times import shown_time

Event = Mapping[str, Any]


def shown(event: Event, now: datetime) -> Text | None:
    """When it ended (now), how, how long it took, what was asked of whom, and why it failed if it did.

    None for an event that says nothing new: a beginning.
    """
    if event["event"] == "lost":
        count = event["count"]
        return Text(f"{count} events were dropped: they came faster than they are shown", style="yellow")
    if event["event"] != "end":
        return None
    is_good = event["event.outcome"] == "success"
    line = Text()
    line.append(f"{now:%H:%M:%S}.{now.microsecond // 1000:03}  ", style="dim")
    line.append(f"{_code(event):18} ", style="green" if is_good else "red")
    line.append(f"{shown_time(event['event.duration'] / 1e9):>9}  ")
    line.append(f"{_asked(event)}  ", style="bold")
    line.append(_way(event), style="cyan")
    if (attempts := event["infermesh.attempts"]) > 1:
        line.append(f"  {attempts} attempts", style="yellow")
    if caller := event.get("client.user.id") or event.get("client.address"):
        line.append(f"  from {printable(caller)}", style="dim")
    if trace := event.get("trace.id"):
        line.append(f"  trace {trace}", style="dim")
    if problem := event.get("error.message"):
        line.append(f"  {event['infermesh.error.source']}: {printable(problem)}", style="red")
    return line


def printable(text: str) -> str:
    """The text without what a terminal would obey: others have written it."""
    return "".join(it if it.isprintable() else "\N{REPLACEMENT CHARACTER}" for it in text)


def _code(event: Event) -> str:
    if problem := event.get("error.type"):
        return str(problem)
    return "OK" if "rpc.grpc.status_code" in event else str(event.get("http.response.status_code", "-"))


def _asked(event: Event) -> str:
    if "rpc.method" in event:
        return printable(f"{event['rpc.service']}/{event['rpc.method']}")
    return printable(f"{event['http.request.method']} {event['url.path']}")


def _way(event: Event) -> str:
    route = event.get("infermesh.route") or "no route"
    target = event.get("server.address") or event.get("infermesh.cluster") or "nobody"
    return f"{event['infermesh.listener']}/{route} → {target}"
