"""What a sidecar says of itself, as tables."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from infermesh.identity.times import describe
from rich.table import Table
from rich.text import Text

from infermesh_sidecar.command.live import printable
from infermesh_sidecar.command.times import shown_time

Fields = Mapping[str, Any]

#: Of a certificate's life; below, it should have been renewed.
_LITTLE_LIFE = 0.2


def parts(stats: Fields, certificates: Fields) -> Iterator[Text | Table]:
    """What is shown, from top to bottom: answers of ``/stats`` and ``/certificates``."""
    yield _heading(stats)
    yield routes(stats["routes"])
    if stats["endpoints"]:
        yield endpoints(stats["endpoints"])
    identity = certificates["identity"]
    if identity is not None:
        yield certificates_of(identity)
        yield from _troubles(identity)


def since(earlier: Fields, stats: Fields) -> Fields:
    """The same with rates of the time since an earlier look, instead of those since the start."""
    seconds = stats["uptime_seconds"] - earlier["uptime_seconds"]
    before = {_route(it): it["requests"] for it in earlier["routes"]}
    if seconds <= 0:
        # It was started anew.
        return stats

    def recent(route: Fields) -> Fields:
        count = route["requests"] - before.get(_route(route), 0)
        return {**route, "requests_per_second": count / seconds}

    return {**stats, "routes": [recent(route) for route in stats["routes"]]}


def routes(given: Sequence[Fields]) -> Table:
    """One row for each route; requests that found none have a row without a name."""
    numbers = ["requests", "per s", "failed", "now", "retries", "p50", "p99"]
    table = _table("Routes", ["listener", "route", "to"], numbers)
    for route in given:
        table.add_row(
            route["listener"],
            route["route"] or Text("no route", style="yellow"),
            route["cluster"] or "",
            f"{route['requests']:,}",
            f"{route['requests_per_second']:,.1f}",
            _failures(route),
            f"{route['requests_in_flight']:,}",
            f"{route['retries']:,}",
            _latency(route, "p50"),
            _latency(route, "p99"),
        )
    return table


def endpoints(given: Sequence[Fields]) -> Table:
    """One row for each endpoint. The load is what the balancer compares: lower is better."""
    numbers = ["load", "requests", "failed", "now", "connections", "p50", "p99"]
    table = _table("Endpoints", ["service", "endpoint", "state"], numbers)
    for it in given:
        table.add_row(
            it["cluster"],
            it["endpoint"],
            _state(it),
            f"{it['load'] * 1000:.3g}",
            f"{it['requests']:,}",
            _failures(it),
            f"{it['requests_in_flight']:,}",
            f"{it['connections']:,}",
            _latency(it, "p50"),
            _latency(it, "p99"),
        )
    return table


def certificates_of(identity: Fields) -> Table:
    """The sidecar's own certificate, and those of the authorities that it trusts."""
    table = _table("Certificates", ["of", "who", "issuer"], ["ends in", "life left"])
    own = identity["certificate"]
    left = identity["life_left"]
    style = "green" if left > _LITTLE_LIFE else "red"
    table.add_row(
        "identity",
        identity["id"],
        printable(own["issuer"]),
        _left(own),
        Text(f"{left:.0%}", style=style),
    )
    for authority in identity["authorities"]:
        subject, issuer = printable(authority["subject"]), printable(authority["issuer"])
        table.add_row("authority", subject, "" if issuer == subject else issuer, _left(authority), "")
    return table


def _troubles(identity: Fields) -> Iterator[Text]:
    """Files that could not be read, and handshakes that failed; nothing if all is well."""
    if problem := identity["reload_error"]:
        yield Text(f"The files of the identity cannot be used: {printable(problem)}", style="red")
    for side, who in (
        ("accepted", "of others with this sidecar"),
        ("connected", "of this sidecar with others"),
    ):
        if failed := identity["handshakes"][side]["failed"]:
            counts = ", ".join(f"{reason} {count:,}" for reason, count in failed.items())
            yield Text(f"Handshakes {who} that failed: {counts}", style="yellow")


def _heading(stats: Fields) -> Text:
    heading = Text(f"{stats['name']} {stats['version']}, ")
    heading.append(*("ready", "green") if stats["ready"] else ("not ready", "red"))
    heading.append(f", up for {shown_time(stats['uptime_seconds'])}, {stats['connections']:,} connections")
    return heading


def _state(given: Fields) -> Text:
    breaker = given["breaker"] or {}
    if breaker.get("state") == "open":
        return Text(f"breaker open for {shown_time(breaker['open_for_seconds'])}", style="red")
    if breaker.get("state") == "half_open":
        return Text("breaker half open", style="yellow")
    if given["available"]:
        return Text("in use", style="green")
    return Text(printable(given["unavailable_because"]), style="red")


def _failures(given: Fields) -> Text:
    count = given["failures"]
    return Text(f"{count:,}", style="red" if count else "")


def _left(certificate: Fields) -> str:
    return describe(timedelta(seconds=certificate["seconds_left"]))


def _latency(given: Fields, which: str) -> str:
    seconds = given["latency_seconds"][which]
    return "" if seconds is None else shown_time(seconds)


def _route(given: Fields) -> tuple[str, str]:
    return given["listener"], given["route"]


def _table(title: str, words: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in words:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right")
    return table
