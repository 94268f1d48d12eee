"""--trace-config and OpenTelemetry's environment."""

import pytest
from infermesh.errors import ConfigurationError
from infermesh.telemetry.trace_config import TraceConfig
from infermesh_servers.model.trace_flags import read_flags

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}


def config(*flags: str, **environment: str) -> TraceConfig:
    return read_flags(flags, environment)


def test_nothing_is_traced_unless_somebody_says_so() -> None:
    found = config()
    assert (found.on, found.rate, found.count) == (False, 1000, -1)
    assert (found.queue, found.batch, found.delay_ms) == (16_384, 512, 5000)
    assert config("level=TIMESTAMPS").on
    assert config(**COLLECTOR).on
    assert not config("level=OFF", **COLLECTOR).on
    assert not config(**COLLECTOR, OTEL_SDK_DISABLED="true").on
    assert not config(**COLLECTOR, OTEL_TRACES_SAMPLER="always_off").on


def test_tritons_flags() -> None:
    found = config(
        "mode=opentelemetry",
        "level=TIMESTAMPS",
        "rate=100",
        "count=5",
        "opentelemetry,url=http://c:1/v1/traces",
        "opentelemetry,resource=service.name=a,b",
        "opentelemetry,bsp_max_queue_size=100",
        "opentelemetry,bsp_schedule_delay=7",
    )
    assert (found.on, found.rate, found.count, found.queue, found.delay_ms) == (True, 100, 5, 100, 7)
    # No larger than the queue.
    assert found.batch == 100
    assert found.destination.url == "http://c:1/v1/traces"
    assert found.resource == {"service.name": "a,b"}
    assert found.shown()["url"] == "http://c:1/v1/traces"


@pytest.mark.parametrize(
    ("sampler", "argument", "rate"),
    [
        ("always_on", "", 1),
        ("parentbased_always_on", "", 1),
        ("parentbased_always_off", "", 0),
        ("traceidratio", "0.01", 100),
        ("parentbased_traceidratio", "0", 0),
        ("parentbased_traceidratio", "", 1),
    ],
)
def test_samplers(sampler: str, argument: str, rate: int) -> None:
    variables = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    assert config(**COLLECTOR, **variables).rate == rate
    assert config("rate=7", **COLLECTOR, **variables).rate == 7


@pytest.mark.parametrize(
    "flag",
    [
        "rate",
        "rate=",
        "rate=-1",
        "rate=x",
        "count=-2",
        "level=TENSORS",
        "mode=triton",
        "triton,file=/tmp/trace.json",
        "opentelemetry,colour=red",
        "opentelemetry,resource=x",
        "opentelemetry,url=c:4318",
        "opentelemetry,bsp_max_queue_size=0",
        "speed=9",
        ",rate=9",
    ],
)
def test_a_setting_that_cannot_be_used(flag: str) -> None:
    with pytest.raises(ConfigurationError):
        config(flag)


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_TRACES_SAMPLER": "xray"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "many"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
    ],
)
def test_a_variable_that_cannot_be_used(variables: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        config(**variables)
