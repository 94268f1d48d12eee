"""How many of something run, and on what."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from infermesh.remarks import BrokenRule
from infermesh.settings.forms import Duration, Form, OnOrOff, Size, Text
from infermesh.settings.names import Name
from infermesh.settings.section import Section

_CORES = r"(\d+(\.\d+)?|\d+m)"


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


#: As Kubernetes writes it, and as YAML reads it: a number of cores, or thousandths.
Cpu = Annotated[
    str,
    Text("number of cores", _CORES, "2", "500m"),
    BeforeValidator(_text),
    Form(
        "number of cores",
        {"anyOf": [{"type": "string", "pattern": f"^{_CORES}$"}, {"type": "number", "exclusiveMinimum": 0}]},
    ),
]

#: Kubernetes looks no further back.
_CALM_AT_MOST = timedelta(minutes=30)


class Autoscale(Section):
    """More of them while requests queue, fewer when they do not."""

    min: int = Field(default=1, ge=1, description="At least so many.")
    max: int = Field(default=10, ge=1, description="At most so many.")
    queue: Duration = Field(
        default=timedelta(milliseconds=20),
        description="What a request may wait in the server's queue on average; more are started above it.",
    )
    calm: Duration = Field(
        default=timedelta(minutes=5),
        description="How long it has to be quiet before one is ended, 30m at most.",
    )
    prometheus: Name = Field(
        default="http://prometheus-operated.monitoring.svc:9090",
        description="URL of the Prometheus that is asked how long requests to model servers queue.",
    )


class Placement(Section):
    """How many of something run, and on what."""

    replicas: int = Field(default=1, ge=1, description="How many.")
    cpu: Cpu | None = Field(default=None, description="Cores that one needs, such as 2 or 500m.")
    memory: Size | None = Field(default=None, description="Memory that one needs, and gets at most.")
    gpu: int = Field(default=0, ge=0, description="GPUs of each.")
    autoscale: Annotated[Autoscale | None, OnOrOff()] = Field(
        default=None, description="Whether there are more under load, in place of `replicas`."
    )
    spread: Literal["host", "zone"] = Field(
        default="host", description="What no two of them should share, if it can be helped."
    )


def broken_rules(placement: Placement) -> Iterator[BrokenRule]:
    """What does not fit together, with paths below the section."""
    scale = placement.autoscale
    if scale is None:
        return
    if scale.max < scale.min:
        text = f"found {scale.max}, expected at least `min`: {scale.min}"
        yield BrokenRule(("autoscale", "max"), text)
    if scale.calm > _CALM_AT_MOST:
        yield BrokenRule(("autoscale", "calm"), "found more than 30m, expected at most that")
