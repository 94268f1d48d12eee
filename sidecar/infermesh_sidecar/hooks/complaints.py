"""What is told of functions that fail: enough to find the fault, and no more however often it happens."""

import logging
import threading
import time
from collections.abc import Callable

from infermesh.logs import ecs

from infermesh_sidecar.hooks.reply import describe

_log = logging.getLogger("infermesh.sidecar")

#: Between two of one function.
_PAUSE_SECONDS = 60.0


class Complaints:
    """For several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` is in seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        #: By function: when there may be the next, and how many there were since the last.
        self._told: dict[str, tuple[float, int]] = {}

    def about(self, function: str, rule: str, error: BaseException) -> None:
        """A function failed: its traceback goes to the log, unless one did lately."""
        with self._lock:
            due, withheld = self._told.get(function, (0.0, 0))
            now = self._clock()
            if now < due:
                self._told[function] = (due, withheld + 1)
                return
            self._told[function] = (now + _PAUSE_SECONDS, 0)
        more = f" (it failed {withheld} times more since this was last said)" if withheld else ""
        _log.warning(
            "%s failed for the enrichment '%s': %s%s",
            function,
            rule,
            describe(error),
            more,
            exc_info=error,
            extra=ecs("transform-failed", infermesh__rule__name=rule, infermesh__log__withheld=withheld),
        )
