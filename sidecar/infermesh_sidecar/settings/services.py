"""What there is to call."""

from datetime import timedelta
from typing import Annotated, Literal

from infermesh.policies.endpoints import Breaker, Endpoints
from infermesh.policies.requests import Policies, Retry, Transcode
from infermesh.settings.forms import Duration, Endpoint, HostAndPort, OneOrMany, OnOrOff, Share, Short
from infermesh.settings.names import Name, ServiceName
from infermesh.settings.section import Section
from pydantic import Field


class Dns(Section):
    """All addresses of a name."""

    name: HostAndPort = Field(description="the name to look up, and the port of each address.")
    interval: Duration = Field(default=timedelta(seconds=5), description="Between two lookups.")


class Service(Endpoints, Policies):
    """Somebody to call: where, as whom, and what is done with requests.

    Exactly one of `endpoints`, `dns` and `endpoints_file` says where.
    """

    endpoints: Annotated[list[Endpoint] | None, OneOrMany()] = Field(
        default=None, min_length=1, description="Known addresses."
    )
    dns: Annotated[Dns | None, Short("name")] = Field(
        default=None, description="HOST:PORT: all addresses of a name, looked up again and again."
    )
    endpoints_file: Name | None = Field(
        default=None,
        description="A YAML file that maps names of services to lists of addresses, followed while it "
        "changes.",
    )
    models: Annotated[list[Name] | None, OneOrMany()] = Field(
        default=None,
        description="Its models: REST requests for them find the service. Without it, one of the service's "
        "own name.",
    )
    split: dict[ServiceName, Share] = Field(
        default={},
        description="Of its requests, the shares that go to other services: a canary's. Policies for "
        "requests stay this service's; endpoints, breakers, TLS and connections are those of the service "
        "that is asked.",
    )
    tls: Literal["mutual", "off"] | None = Field(
        default=None, description="Without it, mutual TLS where the sidecar has an identity."
    )
    identities: Annotated[list[Name], OneOrMany()] = Field(
        default=[],
        description="SPIFFE ids that its servers may have; a `*` at the end stands for anything. Without "
        "it, any of the trust domain.",
    )
    server_name: Name | None = Field(
        default=None, description="The name for SNI. Without it, the endpoint's host."
    )
    retry: Annotated[Retry | None, OnOrOff()] = Field(
        default=Retry(), description="Whether to try again. On unless it is `false`."
    )
    breaker: Annotated[Breaker | None, OnOrOff()] = Field(
        default=Breaker(),
        description="Whether an endpoint is left alone after failures. On unless it is `false`.",
    )
    transcode: Annotated[Transcode | None, OnOrOff()] = Field(
        default=None,
        description="Whether REST v2 and simple JSON are answered by gRPC. On unless it is `false`, or "
        "`protocol` is http1.",
    )
