"""A model server, as mesh.yaml says it."""

from typing import Annotated

from infermesh.description.mesh import Host
from infermesh.description.objective import Objective
from infermesh.description.placement import Placement
from infermesh.policies.endpoints import Breaker, Endpoints
from infermesh.policies.requests import Policies, Retry
from infermesh.settings.forms import OneOrMany, OnOrOff, ShareOrNone
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


class Canary(Section):
    """A second server that takes a share of the requests. What is not said is as of the first one."""

    share: ShareOrNone = Field(
        description="Share of the requests that it takes, to the hundredth of a percent. 0%: none but those "
        "that name it."
    )
    models: Annotated[list[Name], OneOrMany()] | None = Field(
        default=None, min_length=1, description="Model repositories, in place of the first one's."
    )
    load: Annotated[list[Name], OneOrMany()] | None = Field(
        default=None, description="The models to load, in place of the first one's."
    )
    arguments: list[str] | None = Field(
        default=None, description="Further options of `infermesh serve`, in place of the first one's."
    )
    environment: dict[str, str] = Field(
        default={}, description="Environment variables, laid over the first one's."
    )
    placement: Placement = Field(
        default=Placement(),
        description="How many of it run, and on what, laid over what the first one says. With `replicas` it "
        "is not scaled unless that is said here.",
    )
    tag: Name | None = Field(
        default=None, description="Of its image, where it runs from one. Without it, that of `images`."
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
    canary: Annotated[Canary | None, OnOrOff()] = Field(
        default=None,
        description="A second server, NAME-canary, that takes a share of the requests to this one. `false`: "
        "none, also where another environment has one.",
    )
    objective: Objective = Field(default=Objective(), description="What callers are promised.")
    retry: Annotated[Retry | None, OnOrOff()] = Field(
        default=Retry(), description="Whether to try again. On unless it is `false`."
    )
    breaker: Annotated[Breaker | None, OnOrOff()] = Field(
        default=Breaker(),
        description="Whether an instance is left alone after failures. On unless it is `false`.",
    )
