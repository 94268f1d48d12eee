"""The whole of sidecar.yaml."""

from typing import Annotated, Literal

from infermesh.settings.forms import HostAndPort, OneOrMany, OrOff
from infermesh.settings.names import Name, ServiceName
from infermesh.settings.section import Section
from pydantic import Field

from infermesh_sidecar.settings.listeners import Inbound, Outbound
from infermesh_sidecar.settings.process import Capture, Identity, Limits, Log, Shutdown, Tracing
from infermesh_sidecar.settings.services import Service


class Sidecar(Section):
    """What a sidecar does. At least one of `inbound` and `outbound` is needed.

    Paths of files are relative to the folder of the configuration.
    """

    name: Name = Field(default="sidecar", description="The app it belongs to: in logs, metrics and traces.")
    admin: Annotated[HostAndPort | None, OrOff()] = Field(
        default="127.0.0.1:15000",
        description="Where probes, metrics and the commands of `infermesh sidecar` find it; `false`: "
        "nowhere.",
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="Network threads. Without it, one per core and two at most."
    )
    identity: Identity | None = Field(
        default=None, description="Who it is to its peers. Without it, it speaks plaintext."
    )
    tls: Literal["mesh", "off"] | None = Field(
        default=None,
        description="Instead of an identity. mesh: Istio or Linkerd encrypts. off: nobody does, and that is "
        "meant so.",
    )
    services: dict[ServiceName, Service] = Field(default={}, description="What there is to call, by name.")
    outbound: Annotated[list[Outbound], OneOrMany()] = Field(
        default=[], description="Requests of the app for services; several, if it is a list."
    )
    inbound: Annotated[list[Inbound], OneOrMany()] = Field(
        default=[], description="Requests of others for the app; several, if it is a list."
    )
    capture: Capture | None = Field(
        default=None, description="Copies of requests and answers for the data lake."
    )
    tracing: Tracing = Field(default=Tracing(), description="How traces pass.")
    limits: Limits = Field(default=Limits(), description="What bounds the whole.")
    shutdown: Shutdown = Field(default=Shutdown(), description="How it ends.")
    log: Log = Field(default=Log(), description="What it writes.")
