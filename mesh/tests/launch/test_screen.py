"""What people see of a mesh that runs."""

import asyncio
import io
from pathlib import Path

from infermesh.description.placement import Placement
from infermesh.description.workload import GRPC, INBOUND, Port
from infermesh.launch.instance import Instance, Site
from infermesh.launch.process import Command, Probe, Process, State
from infermesh.launch.screen import addresses, table
from infermesh.launch.supervisor import Member
from infermesh.overview.view import Traffic
from rich.console import Console

from .test_ports import Nothing

PROBE = Probe(1, None)


def members() -> list[Member]:
    shop = Nothing("shop", "app", Placement(), [Port(INBOUND, 1, "http")])
    models = Nothing("models", "server", Placement(), [Port(GRPC, 2, "grpc")])
    ports = {("shop", 0, INBOUND): 8080, ("models", 0, GRPC): 8001}
    site = Site(Path(), Path(), ports, {it.name: it for it in (models, shop)}, mutual=True)
    found = []
    for workload, names in ((models, ["models"]), (shop, ["shop/sidecar", "shop/app"])):
        processes = [
            Process(Command(name, [], Path(), {}, PROBE, PROBE, 1), lambda *_: None) for name in names
        ]
        found.append(Member(Instance(site, workload, 0), processes))
    return found


async def shown(numbers: dict[str, Traffic]) -> list[list[str]]:
    running = members()
    running[0].processes[0].state = State.READY
    running[1].processes[0].restarts = 2
    output = io.StringIO()
    Console(file=output, width=100).print(table(running, numbers))
    return [line.split() for line in output.getvalue().splitlines()]


def test_numbers_stand_beside_who_takes_requests() -> None:
    numbers = {"shop": Traffic(rate=1234.5, success=0.995, p99_ms=3.21), "models": Traffic(rate=0.0)}
    assert asyncio.run(shown(numbers)) == [
        ["state", "per", "s", "failed", "p99", "restarts", "address"],
        ["models", "ready", "grpc", "127.0.0.1:8001"],
        ["shop/sidecar", "waiting", "1,234.5", "0.5%", "3.21", "ms", "2", "http://127.0.0.1:8080"],
        ["shop/app", "waiting"],
    ]


def test_without_anybody_who_looks_there_are_none() -> None:
    assert asyncio.run(shown({}))[2] == ["shop/sidecar", "waiting", "2", "http://127.0.0.1:8080"]


async def lines() -> list[str]:
    return list(addresses(members()))


def test_people_are_told_where_to_call() -> None:
    assert asyncio.run(lines()) == ["  models  grpc 127.0.0.1:8001", "  shop    http://127.0.0.1:8080"]
