"""``infermesh sidecar status``: what a sidecar says of itself, as tables."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import typer
from infermesh.errors import InfermeshError
from rich.console import Console
from rich.table import Table

from infermesh_sidecar.command import admin as endpoint
from infermesh_sidecar.command.times import shown_time

Fields = Mapping[str, Any]

_WIDE = 240


def run(admin: str, *, as_json: bool) -> None:
    """Raises InfermeshError if there is no sidecar, or if it is not ready."""
    stats = endpoint.get(admin, "/stats")
    stats["certificates"] = endpoint.get(admin, "/certificates")
    if as_json:
        typer.echo(json.dumps(stats, indent=2))
    else:
        # Nothing is folded where there is no terminal.
        console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
        for part in parts(stats):
            console.print(part, markup=False) if isinstance(part, str) else console.print(part)
    if not stats["ready"]:
        raise InfermeshError(f"the sidecar at {admin} is not ready: {stats['unready_because']}")


def parts(stats: Fields) -> Iterator[str | Table]:
    """What is shown, from top to bottom."""
    state = "ready" if stats["ready"] else "not ready"
    yield (
        f"{stats['name']} {stats['version']}, {state}, up for {shown_time(stats['uptime_seconds'])}, "
        f"{stats['connections']} connections"
    )
    yield routes(stats["routes"])
    yield endpoints(stats["endpoints"])
    yield from _identity(stats["certificates"].get("identity"))


def routes(given: list[Fields]) -> Table:
    """One row for each route; requests that found none have a row without a name."""
    table = _table(
        "Routes", ["listener", "route", "to"], ["requests", "per s", "failed", "now", "retries", "p50", "p99"]
    )
    for route in given:
        table.add_row(
            route["listener"],
            route["route"] or "(no route)",
            route["cluster"] or "",
            f"{route['requests']:,}",
            f"{route['requests_per_second']:,.1f}",
            f"{route['failures']:,}",
            str(route["requests_in_flight"]),
            f"{route['retries']:,}",
            _latency(route, "p50"),
            _latency(route, "p99"),
        )
    return table


def endpoints(given: list[Fields]) -> Table:
    """One row for each endpoint."""
    numbers = ["requests", "failed", "now", "connections", "p50", "p99"]
    table = _table("Endpoints", ["service", "endpoint", "state"], numbers)
    for it in given:
        table.add_row(
            it["cluster"],
            it["endpoint"],
            _state(it),
            f"{it['requests']:,}",
            f"{it['failures']:,}",
            str(it["requests_in_flight"]),
            str(it["connections"]),
            _latency(it, "p50"),
            _latency(it, "p99"),
        )
    return table


def _state(given: Fields) -> str:
    breaker = given["breaker"] or {}
    if breaker.get("state") == "open":
        return f"breaker open for {shown_time(breaker['open_for_seconds'])}"
    if breaker.get("state") == "half_open":
        return "breaker half open"
    return "in use" if given["available"] else str(given["unavailable_because"])


def _identity(given: Fields | None) -> Iterator[str | Table]:
    if given is None:
        return
    certificate = given["certificate"]
    table = _table("Identity", ["", ""], [])
    table.add_row("id", given["id"])
    table.add_row("valid until", f"{certificate['not_after']}, {given['life_left']:.0%} of its life are left")
    table.add_row("issued by", certificate["issuer"])
    table.add_row("taken from its files", given["loaded"])
    if problem := given["reload_error"]:
        table.add_row("not taken anew", problem)
    for authority in given["authorities"]:
        table.add_row("trusts", f"{authority['subject']} until {authority['not_after']}")
    for side, counts in given["handshakes"].items():
        table.add_row(f"handshakes {side}", ", ".join(_handshakes(counts)))
    yield table


def _handshakes(counts: Fields) -> Iterator[str]:
    yield f"{counts['done']:,}"
    if counts["resumed"]:
        yield f"{counts['resumed']:,} resumed"
    if counts["without_tls"]:
        yield f"{counts['without_tls']:,} without TLS"
    for reason, count in counts["failed"].items():
        yield f"{count:,} failed: {reason}"


def _table(title: str, words: list[str], numbers: list[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in words:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _latency(given: Fields, which: str) -> str:
    seconds = given["latency_seconds"][which]
    return "" if seconds is None else shown_time(seconds)
