"""What a server says no to, for callers that go on without it."""

from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.target.address import Address


def denied(address: Address, status: str, said: str) -> SetupError:
    """The error of a server that wants to know who asks, or does not like who does."""
    return SetupError(
        f"{address} does not let this client in: {status}: {said}",
        hint="give credentials with -H 'authorization: Bearer ...', or --cert and --key",
    )


class RefusedError(RunError):
    """The server answered, but not with what was asked for.

    `status` is a status of gRPC such as `NOT_FOUND`, or `HTTP 404`; `said` is the server's own message.
    """

    def __init__(self, who: Address, what: str, status: str, said: str, hint: str | None = None) -> None:
        super().__init__(f"{who} refuses {what}: {status}: {said or 'without a message'}", hint)
        self.status = status
        self.said = said

    @property
    def unknown(self) -> bool:
        """Whether what was asked about does not exist."""
        return self.status in ("NOT_FOUND", "HTTP 404")

    @property
    def absent(self) -> bool:
        """Whether the server lacks the call as such; over HTTP that looks like something unknown."""
        return self.status in ("UNIMPLEMENTED", "HTTP 404", "HTTP 405", "HTTP 501")
