"""The errors that a command reports in one sentence instead of a traceback.

::

    InfermeshError
    └── ConfigurationError    what was asked for cannot be understood or does not fit together

They know nothing of exit codes: the command line maps them in one place (``infermesh.cli``).
"""


class InfermeshError(Exception):
    """Something that was asked for could not be done; ``hint`` says what to try, if anything is known."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigurationError(InfermeshError):
    """A command line, a file or a repository is wrong; nothing was started because of it."""
