"""How many of something run, and on what."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from infermesh.settings.forms import Duration, OnOrOff, Size, Text
from infermesh.settings.section import Section

#: As Kubernetes writes it.
Cpu = Annotated[str, Text("number of cores", r"\d+(\.\d+)?|\d+m", "2", "500m")]


class Autoscale(Section):
    """More of them while requests queue, fewer when they do not."""

    min: int = Field(default=1, ge=1, description="At least so many.")
    max: int = Field(default=10, ge=1, description="At most so many.")
    queue: Duration = Field(
        default=timedelta(milliseconds=20),
        description="What a request may wait in the server's queue on average; more are started above it.",
    )
    calm: Duration = Field(
        default=timedelta(minutes=5), description="How long it has to be quiet before one is ended."
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
