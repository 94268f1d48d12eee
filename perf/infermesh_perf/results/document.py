"""The result of a run as data: what the JSON file holds and what every report is made from.

Times are nanoseconds in fields that end in `_ns` and seconds in fields that end in `seconds`. Distributions
are HdrHistograms (V2, compressed, base64), so that they can be merged and asked anything later.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA: Literal[1] = 1


class Part(BaseModel):
    """Unknown fields are errors: a file of a newer release is refused and not half understood."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Distribution(Part):
    """A histogram of nanoseconds and what people ask of it. Empty: `count` is 0, the rest is 0."""

    count: int
    mean_ns: float
    stdev_ns: float
    min_ns: int
    max_ns: int
    #: By percentile as text: "50", "90", "95", "99", "99.9", "99.99".
    percentiles_ns: dict[str, int]
    #: The histogram itself; `infermesh_native.Histogram.decode` reads it.
    encoded: str


class Failure(Part):
    """Requests that failed in one way."""

    #: A status of gRPC, `HTTP 503`, `TIMEOUT`, `CONNECTION`, `PROTOCOL` or `WRONG ANSWER`.
    kind: str
    count: int
    #: What one of them said.
    message: str
    latency: Distribution


class Window(Part):
    """One measurement window, by which stability is judged."""

    start_seconds: float
    seconds: float
    throughput: float
    #: At the percentile that is judged, or the mean.
    latency_ns: float


class Moment(Part):
    """One slice of the timeline; requests belong to the slice in which they ended."""

    #: Since the measurement began.
    start_seconds: float
    seconds: float
    completed: int
    failed: int
    outstanding: int
    p50_ns: int
    p99_ns: int
    #: Sparse counts of corrected latency: `floor(4 * log2(latency in us))` to requests, for the heat map.
    heat: dict[int, int]
    #: Share of the device that was busy, 0 to 1, where the server tells it.
    gpu: float | None = None


class Hop(Part):
    """Mean share of one stage in the service time of a request, and where that is known from."""

    name: Literal["client lag", "network", "sidecar", "queue", "input", "compute", "output", "server"]
    mean_ns: float
    source: str


class SlowRequest(Part):
    """One of the slowest requests."""

    workload: str
    #: Since the measurement began.
    due_seconds: float
    lag_ns: int
    service_ns: int
    payload: int
    connection: int
    error: str = ""
    trace_id: str = ""
    #: Where its trace tells it: nanoseconds by the names of hops.
    stages_ns: dict[str, int] = Field(default_factory=dict)


class WorkloadResult(Part):
    """What one model of a mix got."""

    name: str
    throughput: float
    completed: int
    failed: int
    latency: Distribution


class Check(Part):
    """One rule that a valid measurement must keep."""

    name: str
    passed: bool
    found: str
    limit: str
    #: What to do when it did not pass.
    advice: str = ""


class Load(Part):
    """How much was asked for at one level."""

    mode: Literal["concurrency", "rate", "intervals"]
    #: Requests under way, or requests per second.
    value: float
    distribution: Literal["", "constant", "poisson", "replay"] = ""

    def __str__(self) -> str:
        """Short form, such as `concurrency 16` or `4,000/s poisson`."""
        if self.mode == "concurrency":
            return f"concurrency {self.value:g}"
        return f"{self.value:,.0f}/s {self.distribution}".rstrip()


class Level(Part):
    """All about one load."""

    load: Load
    seconds: float
    #: Good answers per second within the measured time; rows: times the batch size of the requests.
    throughput: float
    rows_per_second: float
    completed: int
    failed: int
    #: Due within the measured time and never sent.
    unsent: int
    sent_bytes: int
    received_bytes: int
    #: From due to answered: corrected for coordinated omission.
    latency: Distribution
    #: From sent to answered: uncorrected.
    service: Distribution
    #: From due to sent.
    lag: Distribution
    #: How late the generator itself came to requests that nothing held back.
    lateness: Distribution
    #: From sent to the first of several answers; empty unless models are decoupled.
    first_response: Distribution
    responses: int
    failures: list[Failure]
    windows: list[Window]
    #: None where stability was not asked for.
    stable: bool | None
    timeline: list[Moment]
    hops: list[Hop]
    #: Executions by batch size over the measured time, as the server counts them.
    batch_sizes: dict[int, int]
    slowest: list[SlowRequest]
    workloads: list[WorkloadResult]
    #: Share of the client's threads that was busy, 0 to 1.
    client_cpu: float
    connections_lost: int
    #: Metrics of the server that the run was told to collect: name to mean and maximum.
    metrics: dict[str, tuple[float, float]] = Field(default_factory=dict)
    checks: list[Check]
    #: Whether the objective was met; None without one.
    objective_met: bool | None = None

    @property
    def valid(self) -> bool:
        """Whether the figures say something about the server, and not about the client."""
        return all(check.passed for check in self.checks)

    @property
    def error_share(self) -> float:
        """Failed requests among all that ended, 0 to 1."""
        ended = self.completed + self.failed
        return self.failed / ended if ended else 0.0


class TensorSummary(Part):
    """One input as it was sent."""

    name: str
    datatype: str
    shape: list[int]


class WorkloadSummary(Part):
    """What one model of the mix was sent."""

    name: str
    model: str
    version: str
    weight: float
    batch: int
    inputs: list[TensorSummary]
    #: Such as "random, seed 1" or "a file".
    source: str
    payloads: int
    payload_bytes: int


class TargetSummary(Part):
    """What was measured."""

    url: str
    protocol: str
    tls: bool
    server: str = ""
    server_version: str = ""


class Certificate(Part):
    """What a search can promise, and how surely."""

    objective: str
    rate: float
    confidence: float
    #: Requests that the promise rests on, and how many of them were over the limit.
    requests: int
    over: int
    sentence: str


class Run(Part):
    """One run of `run`, `search` or a scenario: what the file holds."""

    schema_version: Literal[1] = SCHEMA
    kind: Literal["run", "search", "scenario"]
    #: As it was typed.
    command: list[str]
    started: datetime
    seconds: float
    tags: dict[str, str] = Field(default_factory=dict)
    environment: dict[str, Any]
    target: TargetSummary
    workloads: list[WorkloadSummary]
    objective: str = ""
    levels: list[Level]
    certificate: Certificate | None = None
    scenario: str = ""
    #: Why it ended before its time, if it did.
    cut_short: str = ""

    @property
    def valid(self) -> bool:
        """Whether every level is; a run that was cut short is not."""
        return not self.cut_short and bool(self.levels) and all(level.valid for level in self.levels)


class Ratio(Part):
    """B / A of one figure over the rounds, with its interval and whether it is told from chance."""

    name: str
    #: The figure of each round.
    a: list[float]
    b: list[float]
    ratio: float
    low: float
    high: float
    confidence: float
    p_value: float
    #: "better", "worse", "same" (within the minimum effect) or "unclear".
    verdict: Literal["better", "worse", "same", "unclear"]


class Comparison(Part):
    """Two targets that took turns, or one against a file."""

    schema_version: Literal[1] = SCHEMA
    kind: Literal["comparison"] = "comparison"
    command: list[str]
    started: datetime
    seconds: float
    tags: dict[str, str] = Field(default_factory=dict)
    environment: dict[str, Any]
    a: Run
    b: Run
    order: str
    minimum_effect: float
    ratios: list[Ratio]
    #: The worst of what the ratios say.
    verdict: Literal["better", "worse", "same", "unclear"]

    @property
    def valid(self) -> bool:
        """Whether both sides are."""
        return self.a.valid and self.b.valid
