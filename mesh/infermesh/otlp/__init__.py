"""OTLP, the protocol of OpenTelemetry: where telemetry goes and as whose, by the standard environment, and the way there.

What is sent comes serialised, so nothing here knows the messages.
"""

from infermesh.otlp.destination import Destination, Protocol
from infermesh.otlp.exporter import Exporter, Source
from infermesh.otlp.resource import resource

__all__ = ["Destination", "Exporter", "Protocol", "Source", "resource"]
