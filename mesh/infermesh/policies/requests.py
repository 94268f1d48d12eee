"""What is done with requests to a service: each policy is a section that may be left out."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from infermesh.settings.forms import Duration, DurationOrZero, OneOrMany, OnOrOff, Share, ShareOrNone, Size
from infermesh.settings.names import Name
from infermesh.settings.section import Section

GrpcCode = Literal[
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]

HttpStatus = Annotated[int, Field(ge=400, le=599)]


class Retry(Section):
    """Further attempts after the first, at other endpoints if there are any; none extends the timeout."""

    max_attempts: int = Field(default=3, ge=1, le=5, description="Attempts in all.")
    codes: Annotated[list[GrpcCode], OneOrMany()] = Field(
        default=["UNAVAILABLE"], min_length=1, description="gRPC codes that another attempt may change."
    )
    http_statuses: Annotated[list[HttpStatus], OneOrMany()] = Field(
        default=[502, 503, 504], min_length=1, description="HTTP statuses, likewise, of idempotent methods."
    )
    per_try_timeout: Duration | None = Field(
        default=None, description="Time for one attempt. Without it, as long as the whole."
    )
    backoff_base: Duration = Field(
        default=timedelta(milliseconds=25),
        description="The first pause between attempts; each next is longer.",
    )
    backoff_max: Duration = Field(default=timedelta(milliseconds=250), description="The longest pause.")
    budget_ratio: Share = Field(default=0.2, description="Retries as a share of requests.")
    budget_reserve: float = Field(
        default=10.0, gt=0, description="Retries per second that are in order however few requests there are."
    )


class Hedge(Section):
    """A second attempt beside the first, if that one takes long; the first answer is taken."""

    delay: Duration | None = Field(
        default=None, description="How long the first may take. Without it, by `quantile`."
    )
    quantile: Share | None = Field(
        default=None,
        lt=1,
        description="Or: as long as this share of answers take. Without both, 95%.",
    )
    budget_ratio: Share = Field(default=0.05, description="Second attempts as a share of requests.")


class RateLimit(Section):
    """How often it may be called; what is beyond is refused with RESOURCE_EXHAUSTED or 429."""

    rate: float = Field(gt=0, description="Requests per second.")
    burst: int | None = Field(
        default=None, ge=1, description="Requests that may come at once. Without it, the rate."
    )
    key: Literal["all", "caller", "header"] = Field(
        default="all",
        description="What has a limit of its own: all together, each identity, each value of `header`.",
    )
    header: Name | None = Field(default=None, description="Which header, where that is the key.")


class Concurrency(Section):
    """How many requests may be under way; others wait for their turn; the least urgent are refused first."""

    limit: int | None = Field(
        default=None, ge=1, description="A fixed limit. Without it, it adapts to what the service takes."
    )
    min: int | None = Field(
        default=None, ge=1, description="The least that an adapting limit shrinks to. Without it, 3."
    )
    max: int | None = Field(
        default=None, ge=1, description="The most that an adapting limit grows to. Without it, 1000."
    )
    queue: int = Field(
        default=1024,
        ge=1,
        description="Requests that may wait. The last tenth of these places is kept for priority 0, the "
        "last quarter for 0 and 1, the last half for 0 to 2.",
    )
    queue_timeout: Duration = Field(default=timedelta(seconds=1), description="How long one may wait.")
    priority_header: Name = Field(
        default="x-infermesh-priority",
        description="The header with a request's priority: 0 (first) to 3; else 1.",
    )


class Admission(Section):
    """A share of the requests is refused while many of those that are sent fail."""

    min_success_rate: Share = Field(
        default=0.95, description="With at least this share of successes nothing is refused."
    )
    aggression: float = Field(
        default=1, ge=1, le=100, description="1: as many more are refused as fail more; above it, more."
    )
    window: Duration = Field(
        default=timedelta(seconds=30),
        description="What is remembered: older answers count less and less.",
    )
    max_refused: Share = Field(default=0.8, lt=1, description="No larger share is refused.")
    min_requests: int = Field(
        default=10, ge=1, description="Answers that have to be remembered before anything is refused."
    )


class Coalesce(Section):
    """Concurrent requests for one model become one call, where the model batches."""

    max_rows: int | None = Field(
        default=None, ge=1, description="Rows in one call. Without it, what the model's configuration allows."
    )
    max_delay: DurationOrZero = Field(
        default=timedelta(0),
        description="How long the first waits for company. 0s: requests share a call that come while one is "
        "under way.",
    )
    models: Annotated[list[Name], OneOrMany()] = Field(
        default=[], description="Which models. Without it, all that batch."
    )


class Cache(Section):
    """Answers kept by content, for models whose answer depends on their input alone."""

    max_bytes: Size = Field(default=16 << 20, description="Memory for answers.")
    ttl: Duration = Field(default=timedelta(seconds=60), description="How long an answer is good.")
    models: Annotated[list[Name], OneOrMany()] = Field(
        default=[], description="Which models. Without it, all."
    )


class CaptureRule(Section):
    """Copies of requests and answers, as `capture` keeps them; here for these requests alone."""

    sample: ShareOrNone = Field(default=0.01, description="Share of the requests.")
    max_body: Size = Field(default=1 << 20, description="A larger body is cut, and says so.")
    queue: Size = Field(
        default=16 << 20,
        description="Copies that may wait to be written; what comes then is dropped and counted.",
    )


class Transcode(Section):
    """REST v2 and simple JSON become gRPC on their way, and answers come back as they were asked for."""

    metadata_ttl: Duration = Field(
        default=timedelta(seconds=60), description="How long what a model says of itself is taken for true."
    )


class Policies(Section):
    """What is done with requests. None of it is on unless it is said here."""

    timeout: DurationOrZero | None = Field(
        default=None,
        description="Time from a request's arrival to the end of its answer; a caller's shorter deadline "
        "holds. 0s, or without it: none.",
    )
    retry: Annotated[Retry | None, OnOrOff()] = Field(default=None, description="Whether to try again.")
    hedge: Annotated[Hedge | None, OnOrOff()] = Field(
        default=None, description="Whether to ask a second endpoint before the first has failed."
    )
    rate_limit: RateLimit | None = Field(default=None, description="How often it may be called.")
    concurrency: Annotated[Concurrency | None, OnOrOff()] = Field(
        default=None, description="Whether to limit requests under way."
    )
    admission: Annotated[Admission | None, OnOrOff()] = Field(
        default=None, description="Whether a share is refused while many fail."
    )
    coalesce: Annotated[Coalesce | None, OnOrOff()] = Field(
        default=None, description="Whether several small requests become one."
    )
    cache: Annotated[Cache | None, OnOrOff()] = Field(
        default=None, description="Whether equal requests get the answer that is there."
    )
    capture: Annotated[CaptureRule | None, OnOrOff()] = Field(
        default=None, description="Whether copies are kept; without it, as `capture` at the top says."
    )
    transcode: Annotated[Transcode | None, OnOrOff()] = Field(
        default=None, description="Whether REST v2 and simple JSON are answered by gRPC."
    )
