"""How a process ends: a sentence and an exit code for each kind of error, in this one place."""

import sys
from collections.abc import Callable
from typing import NoReturn

from infermesh.errors import ConfigurationError, InfermeshError

EXIT_FAILED = 1
EXIT_USAGE = 2


def exit_after(run: Callable[[], int | None]) -> NoReturn:
    """Call it and exit: 0 or what it returns if it is done, 2 usage or configuration, 1 failed.

    Raises SystemExit always, except for an error nobody foresaw, whose traceback is worth reading.
    """
    try:
        code = run()
    except ConfigurationError as error:
        _report(error)
        sys.exit(EXIT_USAGE)
    except InfermeshError as error:
        _report(error)
        sys.exit(EXIT_FAILED)
    sys.exit(code or 0)


def _report(error: InfermeshError) -> None:
    label = "\x1b[31;1mError: \x1b[0m" if sys.stderr.isatty() else "Error: "
    hint = f"\nHint: {error.hint}" if error.hint else ""
    print(f"{label}{error}{hint}", file=sys.stderr, flush=True)
