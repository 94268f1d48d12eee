"""From options to what is asked of the server beside answers."""

from __future__ import annotations

from contextlib import ExitStack

from infermesh_perf.command.options import ServerOptions
from infermesh_perf.errors import SetupError
from infermesh_perf.hops import otlp_receiver
from infermesh_perf.hops.prometheus import Scraper
from infermesh_perf.hops.traces import Traces
from infermesh_perf.load.observe import Observers
from infermesh_perf.load.prepared import Prepared

METRICS_PORT = 8002


def observers_of(options: ServerOptions, found: Prepared, stack: ExitStack) -> Observers:
    """What listens to the server; it does so until the stack is closed."""
    address, scraper = found.api.target.address, None
    if options.collect_metrics or options.metrics_url:
        host = address.host if not address.path else "localhost"
        host = f"[{host}]" if ":" in host else host
        url = options.metrics_url or f"http://{host}:{METRICS_PORT}/metrics"
        scraper = stack.enter_context(Scraper(url, options.metrics_interval / 1e3))
    traces = None
    if options.otlp_port is not None:
        if not options.trace_share:
            raise SetupError("--otlp-port is without effect, expected --trace-share above 0 with it")
        traces = Traces()
        stack.enter_context(
            otlp_receiver.receiving(traces.take, host=options.otlp_host, http_port=options.otlp_port)
        )
    return Observers(found.api, found.models, scraper, traces)
