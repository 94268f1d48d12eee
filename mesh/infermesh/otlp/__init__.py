"""OTLP, the protocol of OpenTelemetry: where telemetry goes and as whose, and the way there.

``destination`` and ``resource`` read the standard environment, ``senders`` are the ways to a collector and
``exporter`` the thread that goes them. What is sent comes serialised, so nothing here knows the messages.
"""
