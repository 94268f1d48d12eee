"""What can go wrong in a benchmark, sorted by who has to act."""

from infermesh.errors import ConfigurationError, InfermeshError


class SetupError(ConfigurationError):
    """A tool, an environment or an option is missing or wrong: nothing has been measured."""


class RunError(InfermeshError):
    """A server did not come up, answered wrongly, or the load generator could not finish."""
