"""The two sides of the app: who calls it, and whom it calls."""

from datetime import timedelta
from typing import Annotated, Literal

from infermesh.policies.endpoints import Endpoints, Pool
from infermesh.policies.requests import Policies
from infermesh.settings.forms import Duration, Endpoint, ListenAddress, OneOrMany, OnOrOff, Short
from infermesh.settings.names import HttpPath, Method, Name
from infermesh.settings.section import Section
from pydantic import Field

from infermesh_sidecar.settings.enrichment import Enrichment
from infermesh_sidecar.settings.matches import Match


class Permission(Section):
    """Allows something to somebody."""

    identities: Annotated[list[Name], OneOrMany()] = Field(
        default=[],
        description="SPIFFE ids; a `*` at the end stands for anything. Without it, anybody, also without an "
        "identity.",
    )
    paths: Annotated[list[Name], OneOrMany()] = Field(
        default=[],
        description="HTTP paths, or gRPC methods as `/package.Service/Method`; a `*` at the end stands for "
        "anything. Without it, everything.",
    )
    methods: Annotated[list[Method], OneOrMany()] = Field(
        default=[], description="HTTP methods. Without it, all."
    )


class Route(Policies):
    """What is done with some of the requests; what it does not say is as its service has it, or the app."""

    name: Name | None = Field(
        default=None, description="In logs and metrics. Without it, that of its service."
    )
    match: Match = Field(default=Match(), description="Which requests. Without it, all.")
    service: Name | None = Field(
        default=None, description="Where they go. Without it, to the app, or to the only service."
    )
    strip_prefix: HttpPath | None = Field(default=None, description="Taken from the beginning of the path.")
    enrich: Annotated[list[Enrichment], OneOrMany()] = Field(
        default=[], description="Models that are asked, beside those of the listener."
    )


class Listener(Section):
    """Where requests come in."""

    name: Name | None = Field(
        default=None, description="In logs and metrics. Without it, inbound or outbound."
    )
    listen: ListenAddress = Field(description="where to accept connections, HOST:PORT or unix:PATH.")
    allow: Annotated[list[Permission], OneOrMany()] | None = Field(
        default=None,
        min_length=1,
        description="Who may do what; anything else is refused. Without it, everybody everything.",
    )
    enrich: Annotated[list[Enrichment], OneOrMany()] = Field(
        default=[], description="Models that are asked about each request."
    )
    routes: Annotated[list[Route], OneOrMany()] = Field(
        default=[], description="What is done with some requests: the first that fits is taken."
    )
    idle_timeout: Duration | None = Field(
        default=None, description="A connection that is idle for longer is closed. Without it, never."
    )
    max_connection_age: Duration | None = Field(
        default=None,
        description="A connection is asked to end after this time, give or take a tenth. Without it, never.",
    )
    max_connection_age_grace: Duration | None = Field(
        default=None, description="What is under way then gets this time. Without it, as long as it takes."
    )


class AppPool(Pool):
    """Connections to the app, of each network thread."""

    # What an app that is behind with accepting drops, the kernel sends again after 1 s and 3 s. There is no
    # other instance to ask meanwhile.
    connect_timeout: Duration = Field(default=timedelta(seconds=5), description="Time to connect.")


class App(Endpoints):
    """The app itself."""

    address: Endpoint = Field(description="where the app listens, HOST:PORT or unix:PATH.")
    pool: AppPool = Field(default=AppPool(), description="Connections to it.")


class WaitForApp(Section):
    """The sidecar is not ready before the app is."""

    path: HttpPath | None = Field(
        default=None,
        description="An HTTP path that has to answer with a status below 400. Without it, a connection is "
        "enough.",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=60), description="The sidecar fails if the app takes longer."
    )


class Inbound(Listener, Policies):
    """Requests of others for the app."""

    app: Annotated[App, Short("address")] = Field(
        description="where the app listens, HOST:PORT or unix:PATH."
    )
    tls: Literal["mutual", "permissive", "off"] | None = Field(
        default=None,
        description="mutual: peers need an identity of our trust domain. permissive: or speak plaintext. "
        "Without it, mutual where the sidecar has an identity.",
    )
    wait_for_app: Annotated[WaitForApp | None, OnOrOff()] = Field(
        default=None, description="Whether the sidecar is ready only when the app answers."
    )


class Outbound(Listener):
    """Requests of the app for services."""

    service: Name | None = Field(
        default=None,
        description="Where requests go that no route and no name of a service or model fits. Without it, to "
        "the only service.",
    )
    tls: Literal["mutual", "permissive", "off"] = Field(
        default="off", description="Off, since the app is on this machine."
    )
