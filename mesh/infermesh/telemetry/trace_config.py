"""What is traced and where it goes: settings, completed by OpenTelemetry's environment variables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from infermesh.errors import ConfigurationError
from infermesh.otlp.destination import Destination, is_named

#: As Triton's.
DEFAULT_RATE = 1000
#: As OpenTelemetry's batch span processor, but for the queue: a server under load soon has that many.
DEFAULT_QUEUE = 16_384
DEFAULT_BATCH = 512
DEFAULT_DELAY_MS = 5000

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
    #: Attributes of this process, beside those of the environment.
    resource: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        environment: Mapping[str, str],
        settings: Mapping[str, str],
        url: str | None = None,
        resource: Mapping[str, str] | None = None,
    ) -> "TraceConfig":
        """Read the environment; what is given takes precedence.

        ``settings`` are ``level`` (``OFF`` or anything else), ``rate``, ``count``, ``bsp_max_queue_size``,
        ``bsp_max_export_batch_size`` and ``bsp_schedule_delay`` (milliseconds), as text; ``url`` is the
        collector's. Raises ConfigurationError, naming what was found and what is expected.
        """
        number = _numbers({**_from_environment(environment), **settings})
        level = settings.get("level")
        queue = number("bsp_max_queue_size", DEFAULT_QUEUE, 1)
        return cls(
            on=is_named(environment) and not _is_always_off(environment) if level is None else level != "OFF",
            rate=number("rate", DEFAULT_RATE, 0),
            count=number("count", -1, -1),
            queue=queue,
            batch=min(number("bsp_max_export_batch_size", DEFAULT_BATCH, 1), queue),
            delay_ms=number("bsp_schedule_delay", DEFAULT_DELAY_MS, 0),
            destination=Destination.of(environment, url),
            resource=resource or {},
        )

    def shown(self) -> dict[str, str]:
        """What clients see beside level, rate, count and mode."""
        return {
            "url": self.destination.url,
            "bsp_max_queue_size": str(self.queue),
            "bsp_max_export_batch_size": str(self.batch),
            "bsp_schedule_delay": str(self.delay_ms),
        }


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
