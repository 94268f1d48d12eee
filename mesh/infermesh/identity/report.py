"""What was found, as lines for people and as fields for programs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from infermesh.identity.examine import Authority, Identity, Problem, Unreadable, Validity
from infermesh.identity.times import describe, point

Row = tuple[str, Text]


def show_identity(found: Identity, now: datetime, console: Console) -> None:
    """Print who it is, the facts, and what is wrong."""
    console.print(Text(found.id or "no identity", style="bold"), soft_wrap=True)
    _print_rows(_identity_rows(found, now), console)
    _print_problems(found.problems, console)


def show_authority(found: Authority, now: datetime, console: Console) -> None:
    """As ``show_identity``."""
    console.print(Text(f"authority of {found.id or found.subject}", style="bold"), soft_wrap=True)
    fits = {
        True: "its key lies beside it: it can issue",
        None: "its key is elsewhere: it cannot issue from here",
    }
    rows = [
        ("file", Text(str(found.path))),
        *_validity_rows(found.validity, now),
        ("key", Text(found.key_kind if found.problems else f"{found.key_kind}; {fits[found.key_fits]}")),
    ]
    _print_rows(rows, console)
    _print_problems(found.problems, console)


def show_identities(found: Sequence[Identity | Unreadable], now: datetime, console: Console) -> None:
    """One line for each, and below them what is wrong with which."""
    if not found:
        console.print("Nothing is issued yet: infermesh identity issue NAME", soft_wrap=True)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("Identity", "Folder", "Left", "Renewal", "State"):
        table.add_column(heading, overflow="fold")
    for it in found:
        state = Text("broken", style="red") if it.problems else Text("valid", style="green")
        left, renewal = Text("-"), Text("-")
        if isinstance(it, Identity):
            left, renewal = _left(it.validity, now), _when(it.renewal, now)
        name = it.id if isinstance(it, Identity) and it.id else "-"
        table.add_row(Text(name), Text(str(it.path)), left, renewal, state)
    console.print()
    console.print(table, crop=False)
    for it in found:
        if it.problems:
            console.print(Text(str(it.path), style="bold"), soft_wrap=True)
            _print_problems(it.problems, console)


def identity_fields(found: Identity, now: datetime) -> dict[str, Any]:
    """Everything, for JSON; times are ISO 8601, shares between 0 and 1."""
    return {
        "path": str(found.path),
        "spiffe_id": found.id,
        "valid": not found.problems,
        "issuer": found.issuer,
        "serial_number": found.serial,
        **_validity_fields(found.validity, now),
        "renewal": found.renewal.isoformat(),
        "dns_names": list(found.dns),
        "ip_addresses": list(found.ips),
        "extended_key_usages": list(found.usages),
        "key": {"kind": found.key_kind, "fits": found.key_fits},
        "bundle": {"path": found.bundle and str(found.bundle), "trusted_by": found.trusted_by},
        "problems": _problem_fields(found.problems),
    }


def unreadable_fields(found: Unreadable) -> dict[str, Any]:
    """As ``identity_fields``, of what there is to say."""
    return {"path": str(found.path), "valid": False, "problems": _problem_fields(found.problems)}


def authority_fields(found: Authority, now: datetime) -> dict[str, Any]:
    """As ``identity_fields``."""
    return {
        "path": str(found.path),
        "spiffe_id": found.id,
        "valid": not found.problems,
        "subject": found.subject,
        **_validity_fields(found.validity, now),
        "key": {"kind": found.key_kind, "fits": found.key_fits},
        "problems": _problem_fields(found.problems),
    }


def _identity_rows(found: Identity, now: datetime) -> Iterable[Row]:
    yield "files", Text(str(found.path))
    yield "issuer", Text(found.issuer)
    yield from _validity_rows(found.validity, now)
    yield "renewal", Text.assemble(f"{point(found.renewal)}, ", _when(found.renewal, now))
    names = [*(f"DNS {name}" for name in found.dns), *(f"IP {address}" for address in found.ips)]
    yield "names", Text(", ".join(names) or "none: clients that go by host names refuse it as a server")
    yield "usages", Text(", ".join(found.usages) or "any")
    beside = {True: ", fits the certificate", None: ""}
    yield "key", Text(f"{found.key_kind}{beside[found.key_fits]}")
    if found.trusted_by is not None:
        yield "trust", Text(f"{found.trusted_by}, in {found.bundle}")
    yield "serial", Text(found.serial)


def _validity_rows(validity: Validity, now: datetime) -> Iterable[Row]:
    yield "valid", Text(f"{point(validity.begins)} to {point(validity.ends)}")
    yield "left", _left(validity, now)


def _left(validity: Validity, now: datetime) -> Text:
    if now > validity.ends:
        return Text("none", style="red")
    return Text(f"{describe(validity.ends - now)} ({validity.share_left(now) * 100:.0f} %)")


def _when(moment: datetime, now: datetime) -> Text:
    if moment >= now:
        return Text(f"in {describe(moment - now)}")
    return Text(f"due for {describe(now - moment)}", style="yellow")


def _print_rows(rows: Iterable[Row], console: Console) -> None:
    # No table: on a narrow screen it would break paths and names apart, which people copy.
    for label, text in rows:
        console.print(Text.assemble((f"  {label:<8}", "dim"), text), soft_wrap=True)


def _print_problems(problems: Sequence[Problem], console: Console) -> None:
    for it in problems:
        console.print(Text.assemble(("  problem ", "bold red"), it.what), soft_wrap=True)
        if it.remedy:
            console.print(Text.assemble(("  remedy  ", "bold"), it.remedy), soft_wrap=True)


def _validity_fields(validity: Validity, now: datetime) -> dict[str, Any]:
    return {
        "not_before": validity.begins.isoformat(),
        "not_after": validity.ends.isoformat(),
        "seconds_left": max((validity.ends - now).total_seconds(), 0.0),
        "share_left": validity.share_left(now),
    }


def _problem_fields(problems: Sequence[Problem]) -> list[dict[str, str | None]]:
    return [{"what": it.what, "remedy": it.remedy} for it in problems]
