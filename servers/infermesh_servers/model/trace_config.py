"""Triton's ``--trace-config``, completed by OpenTelemetry's environment variables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from infermesh.errors import ConfigurationError
from infermesh.otlp.destination import Destination, is_named

#: As Triton's.
DEFAULT_RATE = 1000
#: As OpenTelemetry's batch span processor, but for the queue: a server under load soon has that many.
DEFAULT_QUEUE = 16_384
DEFAULT_BATCH = 512
DEFAULT_DELAY_MS = 5000

_MODE = "opentelemetry"
_LIMIT = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class TraceConfig:
    """What is traced at first and where it goes."""

    on: bool
    rate: int
    count: int
    queue: int
    batch: int
    delay_ms: int
    destination: Destination
    #: Attributes of this process that the flag gives.
    resource: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, flags: Sequence[str], environment: Mapping[str, str]) -> "TraceConfig":
        """Read both. Raises ConfigurationError, naming what was found and what is expected."""
        settings, own, resource = _parse(flags)
        number = _numbers({**_from_environment(environment), **settings, **own})
        level = settings.get("level")
        queue = number("bsp_max_queue_size", DEFAULT_QUEUE, 1)
        return cls(
            on=is_named(environment) and not _is_always_off(environment) if level is None else level != "OFF",
            rate=number("rate", DEFAULT_RATE, 0),
            count=number("count", -1, -1),
            queue=queue,
            batch=min(number("bsp_max_export_batch_size", DEFAULT_BATCH, 1), queue),
            delay_ms=number("bsp_schedule_delay", DEFAULT_DELAY_MS, 0),
            destination=Destination.of(environment, own.get("url")),
            resource=resource,
        )

    def shown(self) -> dict[str, str]:
        """What clients see beside level, rate, count and mode."""
        return {
            "url": self.destination.url,
            "bsp_max_queue_size": str(self.queue),
            "bsp_max_export_batch_size": str(self.batch),
            "bsp_schedule_delay": str(self.delay_ms),
        }


def _parse(flags: Sequence[str]) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the settings of any mode, those of this mode, and the attributes."""
    settings: dict[str, str] = {}
    own: dict[str, str] = {}
    resource: dict[str, str] = {}
    for flag in flags:
        scope, separator, rest = flag.partition(",")
        # A comma may also be part of a value; one in front of everything names no mode.
        mode, setting = (scope or "?", rest) if separator and "=" not in scope else ("", flag)
        name, separator, value = setting.partition("=")
        if not separator or not name or not value:
            _refuse(flag, "<setting>=<value> or opentelemetry,<setting>=<value>")
        match mode, name:
            case ("", "level") if value in ("OFF", "TIMESTAMPS"):
                settings[name] = value
            case ("", "level"):
                _refuse(flag, "level=OFF or level=TIMESTAMPS")
            case ("", "mode") if value != _MODE:
                _refuse(flag, f"mode={_MODE}: traces go to an OpenTelemetry collector, not to a file")
            case ("", "mode"):
                pass
            case ("", "rate" | "count"):
                settings[name] = value
            case (mode, "resource") if mode == _MODE:
                key, separator, attribute = value.partition("=")
                if not separator or not key:
                    _refuse(flag, f"{_MODE},resource=<key>=<value>")
                resource[key] = attribute
            case (
                mode,
                "url" | "bsp_max_queue_size" | "bsp_max_export_batch_size" | "bsp_schedule_delay",
            ) if mode == _MODE:
                own[name] = value
            case _:
                _refuse(
                    flag,
                    f"level, rate, count or mode; or {_MODE} with url, resource, bsp_max_queue_size, "
                    "bsp_max_export_batch_size or bsp_schedule_delay",
                )
    return settings, own, resource


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    names = {
        "bsp_max_queue_size": "OTEL_BSP_MAX_QUEUE_SIZE",
        "bsp_max_export_batch_size": "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "bsp_schedule_delay": "OTEL_BSP_SCHEDULE_DELAY",
    }
    found = {name: environment[variable] for name, variable in names.items() if environment.get(variable)}
    if sampler := environment.get("OTEL_TRACES_SAMPLER"):
        found["rate"] = str(_sampler_rate(sampler, environment.get("OTEL_TRACES_SAMPLER_ARG") or "1"))
    return found


def _is_always_off(environment: Mapping[str, str]) -> bool:
    return environment.get("OTEL_TRACES_SAMPLER") == "always_off"


def _sampler_rate(sampler: str, argument: str) -> int:
    """Return one of how many requests a sampler takes; 0: none that begins a trace.

    What its caller records is recorded in any case: a sampler is the same with ``parentbased_`` in front.
    """
    match sampler.removeprefix("parentbased_"):
        case "always_on":
            return 1
        case "always_off":
            return 0
        case "traceidratio":
            try:
                share = float(argument)
            except ValueError:
                share = -1.0
            if not 0 <= share <= 1:
                raise ConfigurationError(
                    f"OTEL_TRACES_SAMPLER_ARG: found {argument!r}, expected a share from 0 to 1"
                )
            return min(round(1 / share), _LIMIT) if share * _LIMIT > 1 else 0
        case _:
            raise ConfigurationError(
                f"OTEL_TRACES_SAMPLER: found {sampler!r}, expected always_on, always_off or traceidratio, "
                "or one of them with parentbased_ in front"
            )


def _numbers(given: Mapping[str, str]) -> Callable[[str, int, int], int]:
    def number(name: str, default: int, low: int) -> int:
        text = given.get(name)
        if text is None:
            return default
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= _LIMIT:
            raise ConfigurationError(f"tracing: {name} is {text!r}, expected a number from {low} to {_LIMIT}")
        return value

    return number


def _refuse(flag: str, expected: Any) -> NoReturn:
    raise ConfigurationError(f"--trace-config {flag}: expected {expected}")
