"""What is about the process as a whole."""

from datetime import timedelta
from typing import Annotated, Literal

from infermesh.policies.requests import CaptureRule
from infermesh.settings.forms import Duration, DurationOrZero, OnOrOff, ShareOrNone, Size
from infermesh.settings.names import Name
from infermesh.settings.section import Section
from pydantic import Field


class Identity(Section):
    """X.509 files of a SPIFFE identity, followed while they change.

    Either `directory`, or all of `certificate`, `key` and `authorities`.
    """

    directory: Name | None = Field(
        default=None,
        description="A folder with tls.crt, tls.key and ca.crt (cert-manager, `infermesh identity issue`), "
        "or svid.pem, svid_key.pem and svid_bundle.pem (SPIFFE Helper).",
    )
    certificate: Name | None = Field(default=None, description="The certificate chain, the leaf first, PEM.")
    key: Name | None = Field(default=None, description="Its private key, PEM.")
    authorities: Name | None = Field(default=None, description="The authorities of peers, PEM.")
    trust_domain: Name | None = Field(
        default=None, description="Identities of another one are refused. Without it, the certificate's own."
    )


class Limits(Section):
    """What bounds the sidecar as a whole."""

    max_connections: int = Field(default=10_000, ge=1, description="Connections beyond these are refused.")
    memory: Size = Field(default=256 << 20, description="Memory of requests under way.")
    replay: Size = Field(
        default=64 << 20,
        description="Of bodies that are kept in case they have to be sent again, all together.",
    )
    replay_request: Size = Field(
        default=16 << 20, description="Of that, for one request; a larger body is sent once."
    )
    message: Size = Field(
        default=64 << 20,
        description="Of a body that has to be read whole: to transcode, enrich, coalesce or cache it.",
    )


class Tracing(Section):
    """How traces pass, and where they go: OpenTelemetry's environment variables hold for what is not said."""

    endpoint: Name | None = Field(
        default=None, description="The collector's URL for OTLP. Without it, as the environment says."
    )
    sample: ShareOrNone | None = Field(
        default=None,
        description="Share of the traces that begin here which are recorded; a caller's decision is "
        "honoured. Without it, as OTEL_TRACES_SAMPLER says, else 0.1%.",
    )
    join: bool = Field(
        default=True,
        description="Gives a request that the app sends without a trace context the one of the request that "
        "it is answering, if that can be told.",
    )
    b3: bool = Field(default=False, description="Sends B3 headers beside those of W3C.")


class Capture(CaptureRule):
    """Copies of requests and answers, in files. Everything is captured that does not say otherwise."""

    directory: Name = Field(description="the folder that the files are written to.")
    max_file: Size = Field(default=64 << 20, description="A file is complete at this size...")
    max_file_age: Duration = Field(default=timedelta(minutes=5), description="...or at this age.")
    max_total: Size = Field(
        default=1 << 30, description="What all files may take; the oldest are deleted beyond it."
    )


class AppExit(Section):
    """The sidecar goes on until the app is gone."""

    timeout: Duration = Field(default=timedelta(seconds=30), description="How long at most.")


class Shutdown(Section):
    """What happens on SIGTERM, before the process ends: readiness is off, then these in turn."""

    drain_delay: DurationOrZero = Field(
        default=timedelta(0),
        description="How long requests are taken as before, while others learn that it is not ready any "
        "more.",
    )
    wait_for_app_exit: Annotated[AppExit | None, OnOrOff()] = Field(
        default=None, description="Whether requests are taken until the app's port refuses connections."
    )
    drain_timeout: DurationOrZero = Field(
        default=timedelta(seconds=30), description="Time for accepted requests to end; the rest is cut off."
    )


class Log(Section):
    """What is written to standard output."""

    format: Literal["auto", "text", "json", "ISO8601"] = Field(
        default="auto", description="auto: text on a terminal, JSON (Elastic Common Schema) elsewhere."
    )
    requests: bool = Field(default=False, description="A record for every request.")
