"""Log records as Elastic Common Schema JSON, one per line, or as plain sentences on a terminal.

Everything goes through the standard ``logging`` package, so what a user's own model logs comes out in the
same form, with the trace that it belongs to.
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

ECS_VERSION = "8.17.0"

_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31;1m"}
_RESET = "\x1b[0m"

#: Trace and span ids in hexadecimal digits.
Traces = Sequence[tuple[str, str]]

#: Of what is being worked on.
_traces: ContextVar[Traces] = ContextVar("traces", default=())


class LogFormat(StrEnum):
    """How a process writes its log; ``AUTO`` is text on a terminal and JSON everywhere else.

    ``ISO8601`` is text with the time in front.
    """

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"
    ISO8601 = "ISO8601"

    def on(self, stream: TextIO) -> "LogFormat":
        """Return the format itself, or what ``AUTO`` stands for on this stream."""
        if self is not LogFormat.AUTO:
            return self
        return LogFormat.TEXT if stream.isatty() else LogFormat.JSON


@dataclass(frozen=True)
class Selection:
    """Which records are written. Above ``verbose`` 0, debug records are, too."""

    info: bool = True
    warning: bool = True
    error: bool = True
    verbose: int = 0

    def admits(self, record: logging.LogRecord) -> bool:
        """Return whether a record is among them."""
        if record.levelno >= logging.ERROR:
            return self.error
        if record.levelno >= logging.WARNING:
            return self.warning
        return self.info if record.levelno >= logging.INFO else self.verbose > 0


def ecs(action: str, **fields: Any) -> dict[str, Any]:
    """Build ``extra=`` for a log call: ECS fields by their dotted names, ``event.action`` among them.

    A double underscore in a keyword stands for the dot: ``ecs("server-listening", server__port=8001)``.
    Fields that are None are left out.
    """
    named = {name.replace("__", "."): value for name, value in fields.items() if value is not None}
    return {"ecs": {"event.action": action, **named}}


@contextmanager
def in_traces(traces: Traces) -> Iterator[None]:
    """Within the block, records of this thread or task name these traces: pairs of trace and span id."""
    token = _traces.set(traces)
    try:
        yield
    finally:
        _traces.reset(token)


class Output:
    """Where a process's log goes. What is written, and how, may change at any time."""

    def __init__(
        self,
        format_: LogFormat,
        service: Mapping[str, str],
        stream: TextIO | None = None,
        selection: Selection | None = None,
    ) -> None:
        """Take over every log record of this process and write it to ``stream`` (default: stdout).

        ``service`` is added to each JSON line, such as ``{"service.name": ...}``.
        """
        self._stream = sys.stdout if stream is None else stream
        self._service = service
        self._handler = logging.StreamHandler(self._stream)
        self._handler.addFilter(lambda record: self.selection.admits(record))
        self.write_as(format_)
        self.select(selection or Selection())
        logging.basicConfig(level=logging.root.level, handlers=[self._handler], force=True)
        # A reader that went away, such as `| head`, is no reason to stop serving or to print a traceback per
        # record.
        logging.raiseExceptions = False

    def write_as(self, format_: LogFormat) -> None:
        """Write records in this format from now on."""
        self.format = format_.on(self._stream)
        formatter = (
            EcsFormatter(self._service)
            if self.format is LogFormat.JSON
            else TextFormatter(colour=self._stream.isatty(), timed=self.format is LogFormat.ISO8601)
        )
        self._handler.setFormatter(formatter)

    def select(self, selection: Selection) -> None:
        """Write these records from now on."""
        self.selection = selection
        logging.root.setLevel(logging.DEBUG if selection.verbose else logging.INFO)


def configure(format_: LogFormat, service: Mapping[str, str], stream: TextIO | None = None) -> Output:
    """Send every log record of this process from INFO upwards to ``stream`` (default: stdout)."""
    return Output(format_, service, stream)


def _when(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trace_fields() -> dict[str, Any]:
    """Of one trace, its id and that of its span, by their names in ECS; of several, a list of ids."""
    match _traces.get():
        case []:
            return {}
        case [(trace, span)]:
            return {"trace.id": trace, "span.id": span}
        case several:
            return {"trace.ids": list(dict.fromkeys(trace for trace, _ in several))}


class EcsFormatter(logging.Formatter):
    """One JSON object per record, with ECS's own leading fields first."""

    def __init__(self, service: Mapping[str, str]) -> None:
        super().__init__()
        self._service = dict(service)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line: dict[str, Any] = {
            "@timestamp": _when(record),
            "log.level": record.levelname.lower(),
            "message": record.getMessage(),
            "ecs.version": ECS_VERSION,
            **self._service,
            "log.logger": record.name,
            **_trace_fields(),
            **getattr(record, "ecs", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error.type"] = record.exc_info[0].__name__
            line["error.message"] = str(record.exc_info[1])
            line["error.stack_trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """The message alone; a warning or an error says so in front, in colour on a terminal."""

    def __init__(self, *, colour: bool, timed: bool = False) -> None:
        """``timed``: with the time in front of all, in UTC as ISO 8601 writes it."""
        super().__init__()
        self._colour = colour
        self._timed = timed

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one sentence, with a traceback after it if it carries one."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            label = f"{record.levelname.capitalize()}:"
            if self._colour:
                label = f"{_COLOURS.get(record.levelno, '')}{label}{_RESET}"
            text = f"{label} {text}"
        if self._timed:
            text = f"{_when(record)} {text}"
        if record.exc_info and record.exc_info[0] is not None:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return text
