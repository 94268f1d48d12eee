"""What the sidecar sees, as people see it: who calls its app, and whom its app calls."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from infermesh.logs import ecs

from infermesh_sidecar.process.native import Proxy

if TYPE_CHECKING:
    from infermesh.overview.collect import Collector
    from infermesh.overview.targets import Target

_log = logging.getLogger("infermesh.sidecar")

#: After a pause as long as this the minute before it is over.
_PAUSE_SECONDS = 10.0


class Picture:
    """Made of what the data plane counts anyway, and only while somebody looks at the admin endpoint."""

    def __init__(
        self,
        proxy: Proxy,
        calls: Sequence[str],
        address: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``calls`` are the services that the app may call, ``address`` is where it is called itself."""
        self._proxy = proxy
        self._calls = calls
        self._address = address
        self._clock = clock
        self._made = -_PAUSE_SECONDS
        self._target: Target
        self._collector: Collector

    def look(self) -> None:
        """Show a picture if it is time for one. Never raises: the sidecar goes on without."""
        if not self._proxy.picture_wanted():
            return
        try:
            self._proxy.show_picture(self._make().encode())
        except Exception:
            _log.exception("The live picture cannot be made", extra=ecs("picture-failed"))

    def _make(self) -> str:
        # Few sidecars are ever looked at: what it takes is imported by those that are.
        from infermesh.overview.answer import Answer
        from infermesh.overview.view import text

        stats = self._proxy.stats()
        now = self._clock()
        if now - self._made >= _PAUSE_SECONDS:
            self._begin(str(json.loads(stats)["name"]))
        self._made = now
        return text(self._collector.take([self._target], [Answer.of_sidecar(stats, self._proxy.metrics())]))

    def _begin(self, name: str) -> None:
        from infermesh.overview.collect import Collector
        from infermesh.overview.targets import Target

        self._collector = Collector(lambda: [self._target], name=name, scope="sidecar", clock=self._clock)
        # It need not be asked, but an app is known by having a sidecar.
        self._target = Target(name, name, "app", calls=self._calls, admin="", address=self._address)


def set_page(proxy: Proxy) -> None:
    """Let the admin endpoint show the page to browsers."""
    from infermesh.overview.page import HEADERS, files

    found = [(it.url_path, str(it.path), list(it.headers.items())) for it in files()]
    proxy.set_page(list(HEADERS.items()), found)
