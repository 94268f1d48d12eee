"""Traces on their way from the data plane to a collector."""

from infermesh.otlp.destination import Destination
from infermesh.otlp.exporter import Exporter, Source
from infermesh.otlp.senders import sender


def export(source: Source, destination: Destination) -> Exporter:
    """Send what a source records from now on, until the exporter is stopped."""
    exporter = Exporter(source, lambda: sender(destination), destination.timeout_seconds)
    exporter.start()
    return exporter
