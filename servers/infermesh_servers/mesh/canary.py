"""The second server of a canary: the first one, but for what the canary says."""

from collections.abc import Iterator

from infermesh.description.placement import Placement
from infermesh.remarks import BrokenRule

from infermesh_servers.mesh.server import Canary, FixedPorts, Server

#: A share is kept to the hundredth of a percent.
_PARTS = 10_000


def canary_name(server: str) -> str:
    """What it is called by itself."""
    return f"{server}-canary"


def second(server: Server, canary: Canary) -> Server:
    """What it is to run. Ports of the machine and the way in stay the first one's."""
    said = {
        field: value
        for field in ("models", "load", "arguments")
        if (value := getattr(canary, field)) is not None
    }
    return server.model_copy(
        update={
            **said,
            "environment": {**server.environment, **canary.environment},
            "placement": _laid_over(server.placement, canary.placement),
            "ports": FixedPorts(),
            "expose": None,
            "canary": None,
        }
    )


def broken_rules(canary: Canary) -> Iterator[BrokenRule]:
    """What is wrong with it by itself, with paths below its section."""
    parts = canary.share * _PARTS
    if abs(parts - round(parts)) > 1e-6:
        yield BrokenRule(
            ("share",), f"found {canary.share * 100:g}%, expected hundredths of a percent at least: 0.01%"
        )


def _laid_over(first: Placement, canary: Placement) -> Placement:
    laid = {field: getattr(canary, field) for field in canary.model_fields_set}
    if "replicas" in laid:
        # A number that somebody says is meant.
        laid.setdefault("autoscale", None)
    return first.model_copy(update=laid)
