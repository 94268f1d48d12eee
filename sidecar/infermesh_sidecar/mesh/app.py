"""An app and its sidecar, as mesh.yaml says it."""

from typing import Annotated, Literal

from infermesh.description.mesh import Host, Label
from infermesh.description.objective import Objective
from infermesh.description.placement import Placement
from infermesh.policies.requests import Policies
from infermesh.settings.forms import OneOrMany
from infermesh.settings.names import HttpPath, Name
from pydantic import Field

from infermesh_sidecar.settings.enrichment import Enrichment
from infermesh_sidecar.settings.listeners import Permission, Route
from infermesh_sidecar.settings.process import Capture, Limits, Log, Shutdown, Tracing

PortNumber = Annotated[int, Field(ge=1, le=65_535)]


class App(Policies):
    """An app that knows nothing of the mesh, and its sidecar. The policies are for what its callers send."""

    port: PortNumber | None = Field(
        default=None,
        description="Where the app itself listens, on localhost. Without it, where it is told to: by PORT in "
        "its environment, and `{port}` in `run`.",
    )
    run: Annotated[list[str], OneOrMany()] = Field(
        default=[],
        description="The command that starts it on this machine; one text is split as a shell does. Without "
        "it, somebody else starts it.",
    )
    directory: Name = Field(default=".", description="Where the command is run.")
    image: Name | None = Field(default=None, description="Its container image.")
    environment: dict[str, str] = Field(default={}, description="Environment variables.")
    health: HttpPath | None = Field(
        default=None,
        description="An HTTP path that answers with a status below 400 when it is well. Without it, a "
        "connection is enough.",
    )
    listen: PortNumber | None = Field(
        default=None,
        description="Where its sidecar takes requests for it. Without it, any port that is free; in a Pod "
        "15106.",
    )
    outbound: PortNumber | None = Field(
        default=None,
        description="Where the app finds the models, on localhost: INFERMESH_URL in its environment says it "
        "in full. Without it, any port that is free; in a Pod 15101.",
    )
    tls: Literal["mutual", "permissive", "off"] | None = Field(
        default=None,
        description="mutual: callers need an identity of the mesh. permissive: or speak plaintext. Without "
        "it, permissive on this machine, where nobody else can call, and mutual elsewhere.",
    )
    calls: Annotated[list[Label], OneOrMany()] | None = Field(
        default=None, description="The servers that it may call. Without it, all of them."
    )
    allow: Annotated[list[Permission], OneOrMany()] | None = Field(
        default=None,
        min_length=1,
        description="Who may do what; anything else is refused. Without it, everybody everything.",
    )
    expose: Host | None = Field(
        default=None, description="The host by which it is called from outside the mesh, if it is."
    )
    enrich: Annotated[list[Enrichment], OneOrMany()] = Field(
        default=[], description="Models that are asked about each request before the app sees it."
    )
    routes: Annotated[list[Route], OneOrMany()] = Field(
        default=[], description="What is done with some requests: the first that fits is taken."
    )
    copies: Capture | None = Field(
        default=None, description="Copies of requests and answers for the data lake."
    )
    tracing: Tracing = Field(default=Tracing(), description="How traces pass.")
    limits: Limits = Field(default=Limits(), description="What bounds the sidecar.")
    shutdown: Shutdown = Field(default=Shutdown(), description="How the sidecar ends.")
    log: Log = Field(default=Log(), description="What the sidecar writes.")
    placement: Placement = Field(default=Placement(), description="How many of it run, and on what.")
    objective: Objective = Field(default=Objective(), description="What callers are promised.")
