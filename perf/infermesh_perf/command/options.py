"""The options that perf commands share. Names are those of perf_analyzer, or of ghz, where they have them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ProtocolName(StrEnum):
    """As perf_analyzer calls them."""

    GRPC = "grpc"
    HTTP = "http"


class DistributionName(StrEnum):
    """How moments of an open loop follow each other."""

    CONSTANT = "constant"
    POISSON = "poisson"


class MemoryKind(StrEnum):
    """Where tensors lie."""

    NONE = "none"
    SYSTEM = "system"
    CUDA = "cuda"


#: More than any machine has room for, and less than what the generator counts with.
MANY = 1 << 30
#: Of numbers with 64 bits and a sign.
LARGEST = (1 << 63) - 1


def option(
    *names: str,
    says: str,
    panel: str,
    example: str,
    metavar: str | None = None,
    least: int | None = None,
    most: int = MANY,
) -> typer.models.OptionInfo:
    """An option whose help ends with an example. A whole number lies between `least` and `most`."""
    found: typer.models.OptionInfo = typer.Option(
        *names,
        help=f"{says} Example: {example}",
        rich_help_panel=panel,
        metavar=metavar,
        min=least,
        max=None if least is None else most,
    )
    return found


TARGET = "Target"
INPUT = "What is sent"
LOAD = "How much is sent"
TIME = "How long"
SEQUENCES = "Sequences"
SERVER = "What the server says"
OUTPUT = "Results"


@dataclass(frozen=True)
class TargetOptions:
    """Where requests go and how."""

    model: Annotated[
        list[str],
        option(
            "-m",
            "--model-name",
            "--model",
            panel=TARGET,
            metavar="NAME[:VERSION][=WEIGHT]",
            says="Model to load; several make a mix by weight.",
            example="-m resnet50 -m bert:2=3",
        ),
    ]
    version: Annotated[
        str,
        option(
            "-x",
            "--model-version",
            panel=TARGET,
            metavar="VERSION",
            says="Version of the model; the server chooses without.",
            example="-x 2",
        ),
    ] = ""
    url: Annotated[
        str,
        option(
            "-u",
            "--url",
            panel=TARGET,
            metavar="ADDRESS",
            says="The server: host:port, grpc(s)://, http(s):// or unix:/path.",
            example="-u grpcs://models.example:443",
        ),
    ] = ""
    protocol: Annotated[
        ProtocolName | None,
        option(
            "-i",
            "--protocol",
            panel=TARGET,
            says="gRPC unless the address says otherwise.",
            example="-i http",
        ),
    ] = None
    streaming: Annotated[
        bool,
        option(
            "--streaming",
            panel=TARGET,
            says="Send over ModelStreamInfer; decoupled models need it.",
            example="--streaming",
        ),
    ] = False
    header: Annotated[
        list[str],
        option(
            "-H",
            "--header",
            panel=TARGET,
            metavar="'NAME: VALUE'",
            says="Header or gRPC metadata of every request.",
            example="-H 'authorization: Bearer T'",
        ),
    ] = field(default_factory=list)
    metadata: Annotated[
        str,
        option(
            "--metadata",
            panel=TARGET,
            metavar="JSON",
            says="The same as a JSON object, as ghz takes it.",
            example='--metadata \'{"tenant": "a"}\'',
        ),
    ] = ""
    cacert: Annotated[
        Path | None,
        option(
            "--cacert",
            panel=TARGET,
            says="Trust these authorities, PEM; asks for TLS.",
            example="--cacert ca.pem",
        ),
    ] = None
    cert: Annotated[
        Path | None,
        option(
            "--cert",
            panel=TARGET,
            says="This client's certificate, PEM, for mutual TLS.",
            example="--cert client.pem --key client.key",
        ),
    ] = None
    key: Annotated[
        Path | None,
        option(
            "--key",
            panel=TARGET,
            says="The key of --cert, PEM.",
            example="--cert client.pem --key client.key",
        ),
    ] = None
    insecure: Annotated[
        bool,
        option(
            "--insecure",
            panel=TARGET,
            says="TLS with whatever certificate the server shows.",
            example="--insecure",
        ),
    ] = False
    server_name: Annotated[
        str,
        option(
            "--server-name",
            panel=TARGET,
            metavar="NAME",
            says="The name that the server's certificate must have.",
            example="--server-name models.mesh",
        ),
    ] = ""
    timeout: Annotated[
        float,
        option(
            "--timeout",
            panel=TARGET,
            metavar="SECONDS",
            says="A request may take so long from the moment it was due; 0: for ever.",
            example="--timeout 0.5",
        ),
    ] = 20.0


@dataclass(frozen=True)
class InputOptions:
    """What requests carry."""

    batch: Annotated[
        int | None,
        option("-b", "--batch-size", panel=INPUT, says="Rows in each request.", example="-b 8", least=1),
    ] = None
    shape: Annotated[
        list[str],
        option(
            "--shape",
            panel=INPUT,
            metavar="INPUT:D1,D2",
            says="Sizes of an input whose dimensions are open, without the batch.",
            example="--shape tokens:128",
        ),
    ] = field(default_factory=list)
    input_data: Annotated[
        str,
        option(
            "--input-data",
            "-d",
            panel=INPUT,
            metavar="random|zero|PATH",
            says="Numbers, or a .npy, .npz, .safetensors, .parquet or perf_analyzer .json file, or a "
            "folder with a file for each input.",
            example="--input-data images.npz",
        ),
    ] = "random"
    validate: Annotated[
        Path | None,
        option(
            "--validate",
            panel=INPUT,
            metavar="PATH",
            says="Expected outputs, in the same forms; every answer is held against them.",
            example="--input-data in.npz --validate out.npz",
        ),
    ] = None
    tolerance: Annotated[
        float,
        option(
            "--tolerance",
            panel=INPUT,
            metavar="SHARE",
            says="Elements of expected outputs may be off by this, absolute and as a share.",
            example="--tolerance 1e-3",
        ),
    ] = 1e-5
    request_output: Annotated[
        list[str],
        option(
            "--request-output",
            panel=INPUT,
            metavar="NAME",
            says="Ask for this output only; may be given several times.",
            example="--request-output scores",
        ),
    ] = field(default_factory=list)
    string_length: Annotated[
        int | None,
        option(
            "--string-length",
            panel=INPUT,
            says="Length of random texts.",
            example="--string-length 64",
            least=0,
        ),
    ] = None
    string_data: Annotated[
        str | None,
        option("--string-data", panel=INPUT, says="The text of every string.", example="--string-data hello"),
    ] = None
    payloads: Annotated[
        int | None,
        option(
            "--payloads",
            panel=INPUT,
            says="How many random requests differ.",
            example="--payloads 100",
            least=1,
        ),
    ] = None
    seed: Annotated[
        int,
        option(
            "--random-seed",
            panel=INPUT,
            says="Every random choice follows from it.",
            example="--random-seed 7",
            least=0,
            most=LARGEST,
        ),
    ] = 1
    json_tensors: Annotated[
        bool,
        option(
            "--json-tensors",
            panel=INPUT,
            says="Over HTTP, tensors as numbers in JSON and not as bytes.",
            example="-i http --json-tensors",
        ),
    ] = False
    shared_memory: Annotated[
        MemoryKind,
        option(
            "--shared-memory",
            panel=INPUT,
            says="Tensors lie in memory that the server reads itself.",
            example="--shared-memory system",
        ),
    ] = MemoryKind.NONE
    output_shared_memory_size: Annotated[
        int,
        option(
            "--output-shared-memory-size",
            panel=INPUT,
            metavar="BYTES",
            says="Room for each output there; 0: outputs are sent.",
            example="--output-shared-memory-size 4096",
            least=0,
            most=LARGEST,
        ),
    ] = 0
    sequence_length: Annotated[
        int | None,
        option(
            "--sequence-length",
            panel=SEQUENCES,
            says="Requests in a sequence, in the mean.",
            example="--sequence-length 50",
            least=1,
        ),
    ] = None
    sequence_length_variation: Annotated[
        float,
        option(
            "--sequence-length-variation",
            panel=SEQUENCES,
            metavar="PERCENT",
            says="Lengths differ by so much.",
            example="--sequence-length-variation 0",
        ),
    ] = 20.0
    sequence_id_range: Annotated[
        str,
        option(
            "--sequence-id-range",
            panel=SEQUENCES,
            metavar="FIRST[:LAST]",
            says="Ids of sequences.",
            example="--sequence-id-range 1:1000",
        ),
    ] = "1"
    num_of_sequences: Annotated[
        int,
        option(
            "--num-of-sequences",
            panel=SEQUENCES,
            says="Sequences that live at once in an open loop.",
            example="--num-of-sequences 16",
            least=1,
        ),
    ] = 4


@dataclass(frozen=True)
class SendingOptions:
    """How the generator sends."""

    distribution: Annotated[
        DistributionName,
        option(
            "--request-distribution",
            panel=LOAD,
            says="How requests of a rate follow each other.",
            example="--request-distribution constant",
        ),
    ] = DistributionName.POISSON
    connections: Annotated[
        int,
        option(
            "--connections",
            panel=LOAD,
            says="Connections; 0: one for each thread.",
            example="--connections 8",
            least=0,
        ),
    ] = 0
    threads: Annotated[
        int,
        option(
            "--threads",
            panel=LOAD,
            says="Threads that send; 0: half of the cores.",
            example="--threads 2",
            least=0,
        ),
    ] = 0
    max_outstanding: Annotated[
        int,
        option(
            "--max-outstanding",
            panel=LOAD,
            says="Requests under way at once when sending at a rate; what is due beyond waits, and its "
            "wait counts.",
            example="--max-outstanding 64",
            least=1,
        ),
    ] = 1024
    workers: Annotated[
        list[str],
        option(
            "--worker",
            panel=LOAD,
            metavar="HOST:PORT",
            says="Let this `infermesh perf worker` send; several share the load.",
            example="--worker a:9410 --worker b:9410",
        ),
    ] = field(default_factory=list)
    worker_cacert: Annotated[
        Path | None,
        option(
            "--worker-cacert",
            panel=LOAD,
            says="Authorities of workers over mutual TLS, PEM.",
            example="--worker-cacert ca.pem --worker-cert me.pem --worker-key me.key",
        ),
    ] = None
    worker_cert: Annotated[
        Path | None,
        option(
            "--worker-cert",
            panel=LOAD,
            says="The coordinator's certificate for workers, PEM.",
            example="--worker-cacert ca.pem --worker-cert me.pem --worker-key me.key",
        ),
    ] = None
    worker_key: Annotated[
        Path | None,
        option(
            "--worker-key",
            panel=LOAD,
            says="Its key, PEM.",
            example="--worker-cacert ca.pem --worker-cert me.pem --worker-key me.key",
        ),
    ] = None


@dataclass(frozen=True)
class WarmUpOptions:
    """When requests begin to count, and when it is no use to go on."""

    warm_up: Annotated[
        float,
        option(
            "--warm-up",
            panel=TIME,
            metavar="SECONDS",
            says="Requests of the first seconds do not count.",
            example="--warm-up 5",
        ),
    ] = 0.5
    warmup_request_count: Annotated[
        int,
        option(
            "--warmup-request-count",
            panel=TIME,
            says="Nor do the first requests.",
            example="--warmup-request-count 1000",
            least=0,
            most=LARGEST,
        ),
    ] = 0
    abort_after_late: Annotated[
        float | None,
        option(
            "--abort-after-late",
            panel=TIME,
            metavar="MILLISECONDS",
            says="End the run once a request that is due has waited so long to be sent.",
            example="--abort-after-late 500",
        ),
    ] = None


@dataclass(frozen=True)
class TimeOptions(WarmUpOptions):
    """How long a level takes, where nothing else says it."""

    measurement_interval: Annotated[
        float,
        option(
            "-p",
            "--measurement-interval",
            panel=TIME,
            metavar="MILLISECONDS",
            says="Length of a window; the last three must agree.",
            example="-p 5000",
        ),
    ] = 2000.0
    stability_percentage: Annotated[
        float,
        option(
            "-s",
            "--stability-percentage",
            panel=TIME,
            metavar="PERCENT",
            says="By how much windows that agree may differ.",
            example="-s 5",
        ),
    ] = 10.0
    max_trials: Annotated[
        int,
        option("-r", "--max-trials", panel=TIME, says="Windows at most.", example="-r 20", least=3),
    ] = 10
    percentile: Annotated[
        float | None,
        option(
            "--percentile",
            panel=TIME,
            says="Compare windows by this percentile of the latency, not by its mean.",
            example="--percentile 95",
        ),
    ] = None
    duration: Annotated[
        str,
        option(
            "-z",
            "--duration",
            panel=TIME,
            metavar="TIME",
            says="Measure for so long, in place of windows that agree.",
            example="-z 30s",
        ),
    ] = ""
    request_count: Annotated[
        int,
        option(
            "-n",
            "--request-count",
            "--total",
            panel=TIME,
            says="Measure so many requests, in place of windows that agree.",
            example="-n 10000",
            least=0,
            most=LARGEST,
        ),
    ] = 0


@dataclass(frozen=True)
class ServerOptions:
    """What is read from the server beside answers."""

    collect_metrics: Annotated[
        bool,
        option(
            "--collect-metrics",
            panel=SERVER,
            says="Read the server's Prometheus metrics meanwhile.",
            example="--collect-metrics",
        ),
    ] = False
    metrics_url: Annotated[
        str,
        option(
            "--metrics-url",
            panel=SERVER,
            metavar="URL",
            says="Where they are; asks for them. Without: port 8002 of the server.",
            example="--metrics-url http://gpu-1:8002/metrics",
        ),
    ] = ""
    metrics_interval: Annotated[
        float,
        option(
            "--metrics-interval",
            panel=SERVER,
            metavar="MILLISECONDS",
            says="How often.",
            example="--metrics-interval 250",
        ),
    ] = 1000.0
    trace_share: Annotated[
        float,
        option(
            "--trace-share",
            panel=SERVER,
            metavar="SHARE",
            says="Share of the requests with a sampled W3C trace context.",
            example="--trace-share 0.01 --otlp-port 4318",
        ),
    ] = 0.0
    otlp_port: Annotated[
        int | None,
        option(
            "--otlp-port",
            panel=SERVER,
            metavar="PORT",
            says="Take the server's spans here (OTLP over HTTP) and show stages of slow requests.",
            example="--trace-share 0.01 --otlp-port 4318",
            least=0,
            most=65_535,
        ),
    ] = None
    otlp_host: Annotated[
        str,
        option(
            "--otlp-host",
            panel=SERVER,
            metavar="ADDRESS",
            says="The address to take spans at; 0.0.0.0 lets other machines send theirs.",
            example="--trace-share 0.01 --otlp-port 4318 --otlp-host 0.0.0.0",
        ),
    ] = "127.0.0.1"
    no_calibration: Annotated[
        bool,
        option(
            "--no-calibration",
            panel=SERVER,
            says="Do not find out first what this client can send at most (half a second).",
            example="--no-calibration",
        ),
    ] = False


class FormatName(StrEnum):
    """What goes to standard output."""

    PRETTY = "pretty"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True)
class OutputOptions:
    """Where results go."""

    report: Annotated[
        Path | None,
        option(
            "--report",
            panel=OUTPUT,
            metavar="FILE.html",
            says="One page with every chart.",
            example="--report out.html",
        ),
    ] = None
    output: Annotated[
        Path | None,
        option(
            "-o",
            "--output",
            panel=OUTPUT,
            metavar="FILE",
            says="The result in the form of -O, for `perf report` and `--baseline` JSON.",
            example="-o run.json",
        ),
    ] = None
    format: Annotated[
        FormatName | None,
        option(
            "-O",
            "--format",
            panel=OUTPUT,
            says="Form of -o (JSON unless its name ends in .csv), or of standard output without it.",
            example="-O json",
        ),
    ] = None
    csv: Annotated[
        Path | None,
        option(
            "-f",
            "--filename",
            panel=OUTPUT,
            metavar="FILE.csv",
            says="A table with perf_analyzer's columns.",
            example="-f levels.csv",
        ),
    ] = None
    tags: Annotated[
        str,
        option(
            "--tags",
            panel=OUTPUT,
            metavar="JSON",
            says="Names and values that the result keeps.",
            example='--tags \'{"build": "1.4"}\'',
        ),
    ] = ""
    quiet: Annotated[bool, option("-q", "--quiet", panel=OUTPUT, says="No progress.", example="-q")] = False
