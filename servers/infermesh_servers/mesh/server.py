"""A model server, as mesh.yaml says it."""

from typing import Annotated

from infermesh.description.mesh import Host
from infermesh.description.objective import Objective
from infermesh.description.placement import Placement
from infermesh.policies.endpoints import Breaker, Endpoints
from infermesh.policies.requests import Policies, Retry
from infermesh.settings.forms import OneOrMany, OnOrOff
from infermesh.settings.names import Name
from infermesh.settings.section import Section
from pydantic import Field

PortNumber = Annotated[int, Field(ge=1, le=65_535)]


class FixedPorts(Section):
    """Ports of the machine that it shares with others, where they have to be these."""

    grpc: PortNumber | None = Field(default=None, description="For gRPC. Without it, any that is free.")
    http: PortNumber | None = Field(default=None, description="For REST. Without it, any that is free.")
    metrics: PortNumber | None = Field(
        default=None, description="For Prometheus. Without it, any that is free."
    )


class Server(Endpoints, Policies):
    """Models that are served together, and how they are called."""

    models: Annotated[list[Name], OneOrMany()] = Field(
        min_length=1,
        description="model repositories: folders in Triton's layout, or s3:// URLs.",
    )
    load: Annotated[list[Name], OneOrMany()] = Field(
        default=[], description="The models to load. Without it, all of the repositories."
    )
    arguments: list[str] = Field(default=[], description="Further options of `infermesh serve`.")
    environment: dict[str, str] = Field(default={}, description="Environment variables.")
    ports: FixedPorts = Field(
        default=FixedPorts(), description="Ports on this machine, where they have to be certain ones."
    )
    expose: Host | None = Field(
        default=None, description="The host by which it is called from outside the mesh, if it is."
    )
    placement: Placement = Field(default=Placement(), description="How many of it run, and on what.")
    objective: Objective = Field(default=Objective(), description="What callers are promised.")
    retry: Annotated[Retry | None, OnOrOff()] = Field(
        default=Retry(), description="Whether to try again. On unless it is `false`."
    )
    breaker: Annotated[Breaker | None, OnOrOff()] = Field(
        default=Breaker(),
        description="Whether an instance is left alone after failures. On unless it is `false`.",
    )
