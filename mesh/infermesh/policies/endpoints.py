"""How the endpoints of a service are chosen, watched and connected to."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from infermesh.settings.forms import Duration, OnOrOff, Share
from infermesh.settings.names import HttpPath, Name
from infermesh.settings.section import Section


class Balance(Section):
    """Power of two choices by the average latency of each endpoint, which a slow answer raises at once."""

    decay: Duration = Field(default=timedelta(seconds=10), description="How fast the average forgets.")
    default_rtt: Duration = Field(
        default=timedelta(milliseconds=30),
        description="What is assumed of an endpoint that has not answered yet.",
    )


class Breaker(Section):
    """Leaves an endpoint alone after failures, but for a probe now and then."""

    consecutive_failures: int = Field(default=7, ge=1, description="Opens after so many failures in a row...")
    min_success_rate: Share = Field(
        default=0.8, description="...or below this share of successes within 10 s..."
    )
    min_requests: int = Field(default=5, ge=1, description="...with at least so many requests in them.")
    backoff_base: Duration = Field(
        default=timedelta(seconds=1), description="Time until one probe; doubled by each that fails."
    )
    backoff_max: Duration = Field(default=timedelta(seconds=60), description="The longest of these times.")


class Outlier(Section):
    """Leaves an endpoint alone because the others do better."""

    consecutive_failures: int = Field(default=5, ge=1, description="Failures in a row.")
    interval: Duration = Field(default=timedelta(seconds=10), description="Between two comparisons.")
    base_ejection: Duration = Field(
        default=timedelta(seconds=30), description="Time of the first ejection; times their count."
    )
    max_ejection: Duration = Field(default=timedelta(seconds=300), description="The longest.")
    max_ejected: Share = Field(default=0.5, description="Share of the endpoints that may be ejected.")
    success_rate_sigma: float = Field(
        default=1.9, gt=0, description="Standard deviations that a share of successes is below the mean."
    )


class HealthCheck(Section):
    """Asks each endpoint whether it is well; one that is not gets no requests."""

    interval: Duration = Field(default=timedelta(seconds=5), description="Between two checks.")
    timeout: Duration = Field(default=timedelta(seconds=1), description="Time for one.")
    unhealthy: int = Field(default=2, ge=1, description="Failures until an endpoint counts as ill.")
    healthy: int = Field(default=1, ge=1, description="Successes until it counts as well again.")
    path: HttpPath | None = Field(
        default=None,
        description="An HTTP path that answers 200. Without it, gRPC's health service is asked.",
    )
    service: Name | None = Field(
        default=None, description="The service that gRPC's health service is asked about."
    )


class Pool(Section):
    """Connections to one endpoint, of each network thread."""

    connect_timeout: Duration = Field(
        default=timedelta(seconds=1), description="Time to connect, TLS included."
    )
    max_connections: int | None = Field(
        default=None, ge=1, description="Connections. Without it, 4 over HTTP/2 and 256 over HTTP/1.1."
    )
    max_pending: int = Field(default=1024, ge=1, description="Requests that may wait for a connection.")
    max_age: Duration = Field(
        default=timedelta(seconds=300),
        description="A connection is replaced after this time, give or take a tenth: new endpoints get "
        "their part.",
    )
    idle_timeout: Duration = Field(
        default=timedelta(seconds=60), description="One that has nothing to do is closed after this time."
    )
    keepalive: Duration = Field(
        default=timedelta(seconds=10),
        description="One that is silent for so long while requests wait is asked for a sign of life...",
    )
    keepalive_timeout: Duration = Field(
        default=timedelta(seconds=5), description="...and given up if none comes within this time."
    )


class Endpoints(Section):
    """How the endpoints of a service, or the app, are spoken to."""

    protocol: Literal["auto", "http1", "http2"] = Field(
        default="auto", description="What they speak. auto: HTTP/2 for gRPC, HTTP/1.1 for the rest."
    )
    breaker: Annotated[Breaker | None, OnOrOff()] = Field(
        default=None, description="Whether one is left alone after failures."
    )
    outlier: Annotated[Outlier | None, OnOrOff()] = Field(
        default=None, description="Whether one is left alone because others do better."
    )
    health_check: Annotated[HealthCheck | None, OnOrOff()] = Field(
        default=None, description="Whether they are asked if they are well."
    )
    balance: Balance = Field(default=Balance(), description="How one is chosen.")
    pool: Pool = Field(default=Pool(), description="Connections to them.")
