from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import final

from infermesh_native import Tensor

__all__ = [
    "ONNX_PARAMETERS",
    "FatalError",
    "Histogram",
    "Hook",
    "Limits",
    "LoadGenerator",
    "ModelError",
    "NullServer",
    "Proxy",
    "Rules",
    "Server",
    "Tls",
    "__version__",
]

__version__: str

#: Parameters that the onnxruntime backend knows, besides session entries (with a dot in their names).
ONNX_PARAMETERS: list[str]

class FatalError(Exception):
    """Raised by a callable of ``load_python``: the model cannot be used any more."""

class ModelError(Exception):
    """A model could not be loaded; the message says what was found and what was expected."""

@final
class Tls:
    """Certificates of a listener, from files in PEM; once it is used, files that change are taken anew."""

    def __new__(cls, *, certificate: str, key: str, protocol: str, authorities: str | None = None) -> Tls:
        """Read and check the files; with ``authorities``, clients need a certificate from one of them.

        ``protocol`` is agreed on by ALPN: ``h2`` or ``http/1.1``. Raises ValueError that names the file, what
        is wrong with it and what to do.
        """

@final
class Limits:
    """How much clients may ask for at once."""

    def __new__(
        cls, *, max_message_bytes: int, max_input_bytes: int, max_connections: int, memory_budget_bytes: int
    ) -> Limits:
        """Sizes of one gRPC message and of one HTTP body; connections; memory for all requests under way."""

@final
class Rules:
    """The life of gRPC connections, in gRPC's terms."""

    def __new__(
        cls,
        *,
        max_age: float | None,
        max_age_grace: float | None,
        keepalive_time: float,
        keepalive_timeout: float,
        keepalive_permit_without_calls: bool,
        max_pings_without_data: int,
        min_ping_interval: float,
        max_ping_strikes: int,
        write_timeout: float,
    ) -> Rules:
        """Times are in seconds, None is for ever. Raises ValueError for a time that is none."""

@final
class Server:
    """One model server: a registry of models and the listeners in front of it.

    Loading and serving may overlap: a listener answers ``ServerLive`` at once, ``ServerReady`` according to
    ``set_ready``.
    """

    def __new__(
        cls,
        *,
        version: str,
        name: str = "infermesh",
        io_threads: int = 0,
        allow_client_shm: bool | None = None,
        response_cache_bytes: int = 0,
        limits: Limits | None = None,
        rules: Rules | None = None,
    ) -> Server:
        """Start the network threads (0: one per core). No socket is opened yet.

        ``allow_client_shm``: whether clients may have tensors in shared memory; None: those on this machine.

        Raises ModelError if the system refuses a thread.
        """

    def listen_tcp(self, host: str, port: int, tls: Tls | None = None) -> tuple[str, int]:
        """Bind and serve gRPC, over TLS if it is given; port 0 picks a free one. Returns the bound address.

        Raises OSError if the address cannot be bound.
        """

    def listen_http(self, host: str, port: int, tls: Tls | None = None) -> tuple[str, int]:
        """As ``listen_tcp``, for the v2 protocol over HTTP: JSON, and tensors in binary beside it."""

    def listen_metrics(self, host: str, port: int, tls: Tls | None = None) -> tuple[str, int]:
        """As ``listen_tcp``, for Prometheus: ``GET /metrics``."""

    def listen_unix(self, path: str) -> None:
        """As ``listen_tcp``, on a unix socket; a socket file that nobody listens on is replaced."""

    def load_onnx(
        self,
        version: int,
        path: str,
        config: bytes,
        library: str,
        directory: str,
        classes: Mapping[str, Sequence[str]],
    ) -> bytes:
        """Load one version of a model with ONNX Runtime and make it ready; replaces the same version.

        ``config`` is a serialised ``inference.ModelConfig``; what it leaves out is completed from the model.
        ``library`` is the path of libonnxruntime, ``directory`` the model's, with the files of its warm-up;
        ``classes`` names the classes of outputs. Blocks without the GIL until every instance is warm. Returns
        the completed configuration. Raises ModelError, and then leaves in service what was there before.
        """

    def load_python(
        self,
        version: int,
        config: bytes,
        instances: Sequence[Callable[..., list[Tensor] | Iterator[list[Tensor]]]],
        directory: str,
        classes: Mapping[str, Sequence[str]],
    ) -> bytes:
        """Serve one version of a model with Python callables, one per instance.

        Each is called once per batch with the batch's inputs, from its own thread, and returns its outputs.
        Where ``config`` makes the model decoupled, each is called once per request and returns an iterator
        over the outputs of its answers; ``close`` is called on one that nobody listens to any more.
        Where requests are traced, their trace and span ids (pairs of hexadecimal strings) are a second
        argument.
        An input's memoryview owns its memory, so it may be kept. An exception fails that batch with INTERNAL
        and its message; FatalError also takes the version out of service. ``directory`` is the model's, with
        the files of its warm-up; ``classes`` names the classes of outputs. Raises ModelError, and then leaves
        in service what was there before.
        """

    def load_ensemble(self, version: int, config: bytes, classes: Mapping[str, Sequence[str]]) -> None:
        """Serve one version that other models compute, as ``ensemble_scheduling`` says; they must be ready.

        Raises ModelError naming step, model and tensor, and then leaves in service what was there before.
        """

    def unload(self, name: str, version: int) -> bool:
        """Stop admitting requests to the version, let accepted ones finish, release it. False if unknown."""

    def set_unavailable(self, name: str, version: int, reason: str) -> None:
        """List a version in the repository index as UNAVAILABLE with a reason; requests to it are refused.

        Version 0 stands for a model that has no version to name.
        """

    def set_labels(self, name: str, labels: dict[str, int]) -> bool:
        """Replace the labels of a model, all at once; a request may name a version by one. False if unknown.

        A label may name a version that is not there: its requests are refused, as those to the number are.
        """

    def allow_control(
        self,
        load: Callable[[str, dict[str, bool | int | str | bytes | None]], None],
        unload: Callable[[str, bool], None],
    ) -> None:
        """Let clients load and unload models through the repository extension, over gRPC or HTTP.

        ``load(name, parameters)`` and ``unload(name, dependents)`` are called from a thread of the server's;
        KeyError becomes NOT_FOUND, ValueError INVALID_ARGUMENT, anything else INTERNAL.
        """

    def watch_models(self, failed: Callable[[str, int, str], None]) -> None:
        """Call ``failed(name, version, reason)`` for each version that fails for good while it is served.

        It is called in a thread of the server's, when the version is out of service. Raises RuntimeError if
        somebody watches already.
        """

    def set_load_duration(self, name: str, version: int, seconds: float) -> None:
        """Say how long it took to load a version, for the metrics."""

    def set_ready(self, ready: bool) -> None:
        """What ServerReady and the health service report from now on."""

    def start_traces(
        self,
        *,
        on: bool,
        rate: int,
        count: int,
        resource: Sequence[tuple[str, str]],
        shown: Sequence[tuple[str, str]],
        queue: int,
        batch: int,
        delay: float,
    ) -> None:
        """Say which inferences are traced until a client changes it; to be called once, before there are any.

        One of ``rate`` is traced, 0 standing for none, besides those that their caller traces; ``count`` ends
        that, negative standing for never. ``resource`` are the attributes of this process, ``shown`` what
        clients see beside the settings. At most ``queue`` spans wait; they are handed out ``batch`` at a
        time, or when the oldest has waited ``delay`` seconds.
        """

    def take_spans(self, timeout: float) -> tuple[int, bytes] | None:
        """The next spans: how many, and a serialised OTLP ``ExportTraceServiceRequest``.

        None if there is nothing to send within ``timeout`` seconds.
        """

    def lose_spans(self, count: int) -> None:
        """Count spans that were taken and could not be sent."""

    def flush_spans(self) -> None:
        """From now on ``take_spans`` never waits."""

    def allow_log_settings(
        self, change: Callable[[dict[str, bool | int | str | None]], dict[str, bool | int | str]]
    ) -> None:
        """Let clients read and change log settings, over gRPC or HTTP.

        ``change(settings)`` changes what it is given, all or nothing, and returns every setting. It is called
        from a thread of the server's; ValueError becomes INVALID_ARGUMENT, NotImplementedError UNIMPLEMENTED.
        """

    def take_log(
        self, timeout: float
    ) -> list[tuple[float, str, str, str, dict[str, str | int | bool | list[str]]]]:
        """The next log records of the data plane; empty if there is none within ``timeout`` seconds.

        Each is its age in seconds, its level (``error``, ``warning``, ``info``), its ``event.action``, its
        message, and further fields by their names in the Elastic Common Schema.
        """

    def flush_log(self) -> None:
        """From now on ``take_log`` never waits."""

    def set_access_log(self, wanted: bool) -> None:
        """Whether every inference gets a log record."""

    def drain(self, timeout: float) -> bool:
        """Refuse new requests, finish accepted ones, close the listeners.

        False if that took longer than ``timeout`` seconds; what was left then is cut off.
        """

@final
class Histogram:
    """An HdrHistogram of nanoseconds: 1 ns to 1 h with three digits; what is above counts as 1 h.

    Histograms are merged, percentiles are never averaged.
    """

    def __new__(cls) -> Histogram:
        """An empty one."""

    @staticmethod
    def decode(encoded: bytes) -> Histogram:
        """Read what ``encode`` wrote, or any HdrHistogram in V2 encoding, compressed or not.

        Empty bytes are an empty histogram. Raises ValueError for anything else.
        """

    def encode(self) -> bytes:
        """V2 encoding, compressed: what other HdrHistogram libraries read."""

    def record(self, value: int, count: int = 1) -> None:
        """Count a value so many times."""

    def merge(self, other: Histogram) -> None:
        """Add all counts of another."""

    @property
    def count(self) -> int:
        """How many values there are."""

    @property
    def min(self) -> int:
        """The lowest, 0 if there is none."""

    @property
    def max(self) -> int:
        """The highest, 0 if there is none."""

    @property
    def mean(self) -> float:
        """The mean, 0 if there is no value."""

    @property
    def stdev(self) -> float:
        """The standard deviation, 0 if there is no value."""

    def percentile(self, percentile: float) -> int:
        """The lowest value that so many percent (0 to 100) do not exceed, 0 if there is none."""

    def count_up_to(self, value: int) -> int:
        """How many values do not exceed this one, to the precision of the histogram."""

    def steps(self) -> list[tuple[int, int]]:
        """The values that occur, ascending, with their counts."""

@final
class LoadGenerator:
    """Sends what a plan says, from threads of its own that never enter the interpreter.

    ``connect``, ``start``, ``measure`` at the end of the warm-up, ``take`` now and then, ``stop``. All let
    other threads run while they wait.
    """

    def __new__(cls, plan: bytes) -> LoadGenerator:
        """Check a serialised ``infermesh.load.v1.LoadPlan``. Raises ValueError that says what is wrong."""

    def connect(self, timeout: float) -> int:
        """Open the connections; returns how many. Raises ConnectionError if one cannot be made in time.

        Over HTTP each thread first asks whether the server lives: one of another protocol shows at once.
        """

    def start(self, delay: float = 0.0) -> None:
        """Begin to send after so many seconds."""

    def measure(self, delay: float = 0.0) -> None:
        """Requests that are due from now on, or after so many seconds, count."""

    def take(self) -> bytes:
        """What has happened since the last call, a serialised ``infermesh.load.v1.LoadSlice``."""

    def wait(self, timeout: float) -> bool:
        """Until the plan's number of requests is sent and answered; False if that takes longer."""

    def stop(self, drain: float) -> None:
        """Send no more; return when all is answered or after so many seconds, with the rest given up.

        A sequence that is open gets one more request, its last, which is counted nowhere. What was given up
        is in the next ``take`` as errors of kind TIMEOUT.
        """

@final
class Hook:
    """A request that waits for a function in Python."""

    @property
    def call(self) -> bytes | None:
        """What the function is called with, in JSON; None once it was answered."""

    @property
    def wanted(self) -> bool:
        """Whether a request still waits for it."""

    def reply(self, reply: bytes) -> None:
        """What the function returned, in JSON: ``{"tensors": {...}}`` or ``{"error": "..."}``. Once."""

@final
class Proxy:
    """A proxy before or behind an app: listeners, routes to clusters of endpoints, policies between them."""

    def __new__(cls, config: bytes, *, version: str) -> Proxy:
        """Start the network threads for a serialised ``infermesh.proxy.v1.ProxyConfig``.

        No socket is opened yet. Raises ValueError that names the field that is wrong, RuntimeError if the
        system refuses a thread.
        """

    def listen(self) -> dict[str, str]:
        """Bind all listeners and serve. Returns the bound address of each by its name.

        Raises OSError that names the address that cannot be bound.
        """

    def listen_admin(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Serve those who operate the proxy, over HTTP/1.1: ``GET /`` says what there is.

        Whoever comes there by loopback sees everything but secrets, and can end the process; from elsewhere
        only ``/live``, ``/ready`` and ``/metrics`` are answered. Returns the bound address. Raises OSError
        that names the address if it cannot be bound.
        """

    def set_page(
        self, headers: list[tuple[str, str]], files: list[tuple[str, str, list[tuple[str, str]]]]
    ) -> None:
        """From now on browsers find these files at the admin endpoint: URL path, file, headers of each.

        Beside them there are ``/api/overview`` and ``/api/stream`` with what ``show_picture`` shows;
        ``headers`` are those of all that belongs to the page. A second page is ignored. Raises ValueError
        that names the header that is none.
        """

    def picture_wanted(self) -> bool:
        """Whether it is time for ``show_picture``: once a second, while somebody looks and 10 s more."""

    def show_picture(self, json: bytes) -> None:
        """Show JSON of one line to all who look."""

    def stats(self) -> str:
        """What ``GET /stats`` answers, as JSON."""

    def metrics(self) -> str:
        """What ``GET /metrics`` answers."""

    def drain_requested(self) -> bool:
        """Whether somebody has asked at the admin endpoint for the end of this process."""

    def set_endpoints(self, cluster: str, endpoints: list[str]) -> None:
        """Replace the endpoints of a cluster, HOST:PORT or unix:PATH.

        Those that stay keep what is known of them.

        Raises ValueError for an unknown cluster and for what is no address.
        """

    def set_ready(self, ready: bool) -> None:
        """Say whether requests should come. Not before this is True, and not any more once it is False."""

    def start_traces(
        self, rate: float, resource: Sequence[tuple[str, str]], queue: int, batch: int, delay: float
    ) -> None:
        """Record this share of the traces that begin here. As ``Server.start_traces``."""

    def take_spans(self, timeout: float) -> tuple[int, bytes] | None:
        """As ``Server.take_spans``."""

    def lose_spans(self, count: int) -> None:
        """As ``Server.lose_spans``."""

    def flush_spans(self) -> None:
        """As ``Server.flush_spans``."""

    def take_log(
        self, timeout: float
    ) -> list[tuple[float, str, str, str, dict[str, str | int | bool | list[str]]]]:
        """As ``Server.take_log``."""

    def set_access_log(self, wanted: bool) -> None:
        """Whether every request gets a record in the log."""

    def flush_log(self) -> None:
        """As ``Server.flush_log``."""

    def take_hooks(self, timeout: float) -> list[Hook]:
        """Requests that wait for functions named by ``transform``.

        Empty if none comes within so many seconds.
        """

    def take_captures(self, timeout: float) -> list[bytes]:
        """Requests and answers that were kept, each a serialised ``infermesh.capture.v1.Record``.

        Empty if there is none within so many seconds. A few wait a second for more.
        """

    def flush_captures(self) -> None:
        """From now on ``take_captures`` never waits: it hands out what is left."""

    def drain(self, timeout: float) -> bool:
        """Refuse new requests, finish accepted ones, close everything.

        False if that took longer than so many seconds; what is left then is cut.
        """

@final
class NullServer:
    """A server that answers every request at once with the same bytes, whatever was asked."""

    def __new__(cls, port: int, *, protocol: str, answer: bytes, threads: int = 1) -> NullServer:
        """Listen on loopback; ``protocol`` is ``grpc`` or ``http``. Raises OSError."""

    @property
    def port(self) -> int:
        """The bound port."""

    def close(self) -> None:
        """Close all connections and end its threads."""
