from collections.abc import Callable, Iterator, Sequence
from typing import final

from infermesh_native import Tensor

__all__ = ["ModelError", "Server", "__version__"]

__version__: str

class ModelError(Exception):
    """A model could not be loaded; the message says what was found and what was expected."""

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
        max_message_bytes: int = 2_147_483_647,
    ) -> Server:
        """Start the network threads (0: one per core). No socket is opened yet.

        Raises ModelError if the system refuses a thread.
        """

    def listen_tcp(self, host: str, port: int) -> tuple[str, int]:
        """Bind and serve gRPC; port 0 picks a free one. Returns the bound address.

        Raises OSError if the address cannot be bound.
        """

    def listen_http(self, host: str, port: int) -> tuple[str, int]:
        """As ``listen_tcp``, for the v2 protocol over HTTP: JSON, and tensors in binary beside it."""

    def listen_metrics(self, host: str, port: int) -> tuple[str, int]:
        """As ``listen_tcp``, for Prometheus: ``GET /metrics``."""

    def listen_unix(self, path: str) -> None:
        """As ``listen_tcp``, on a unix socket; a socket file that nobody listens on is replaced."""

    def load_onnx(self, version: int, path: str, config: bytes, library: str) -> bytes:
        """Load one version of a model with ONNX Runtime and make it ready; replaces the same version.

        ``config`` is a serialised ``inference.ModelConfig``; what it leaves out is completed from the model.
        ``library`` is the path of libonnxruntime. Blocks without the GIL. Returns the completed
        configuration. Raises ModelError, and then leaves in service what was there before.
        """

    def load_python(
        self,
        version: int,
        config: bytes,
        instances: Sequence[Callable[[list[Tensor]], list[Tensor] | Iterator[list[Tensor]]]],
    ) -> bytes:
        """Serve one version of a model with Python callables, one per instance.

        Each is called once per batch with the batch's inputs, from its own thread, and returns its outputs.
        Where ``config`` makes the model decoupled, each is called once per request and returns an iterator
        over the outputs of its answers; ``close`` is called on one that nobody listens to any more.
        An input's memoryview owns its memory, so it may be kept. An exception fails that batch with INTERNAL
        and its message. Raises ModelError, and then leaves in service what was there before.
        """

    def unload(self, name: str, version: int) -> bool:
        """Stop admitting requests to the version, let accepted ones finish, release it. False if unknown."""

    def set_unavailable(self, name: str, version: int, reason: str) -> None:
        """List a version in the repository index as UNAVAILABLE with a reason; requests to it are refused.

        Version 0 stands for a model that has no version to name.
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

    def set_ready(self, ready: bool) -> None:
        """What ServerReady and the health service report from now on."""

    def take_log(self, timeout: float) -> list[tuple[float, str, str, str, dict[str, str | int | bool]]]:
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
