"""What can go wrong in a benchmark, sorted by who has to act."""


class PerfError(Exception):
    """Base of everything that the benchmark raises on purpose.

    PerfError
    ├── SetupError    the machine or the command line lacks something; exit code 2
    └── RunError      a peer or the load generator failed while it ran; exit code 1
    """

    exit_code = 1


class SetupError(PerfError):
    """A tool, an environment or an option is missing or wrong: nothing has been measured."""

    exit_code = 2


class RunError(PerfError):
    """A server did not come up, answered wrongly, or the load generator could not finish."""
