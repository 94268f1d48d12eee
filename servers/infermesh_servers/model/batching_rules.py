"""What a configuration's batching must keep: sizes, levels of priority, the objective."""

import math
from collections.abc import Iterator

from infermesh.proto.inference.model_config_pb2 import ModelConfig
from infermesh.remarks import BrokenRule

#: The parameter that gives a model's requests an objective, from arrival to answer.
SLO_MS = "slo_ms"
MOST_SLO_MS = 24 * 3600 * 1000

#: What the native scheduler takes.
MOST_PRIORITY_LEVELS = 1000


def batching_rules(config: ModelConfig) -> list[BrokenRule]:
    """Return every mistake in how a configuration has its requests wait and run together."""
    return [*_sizes(config), *_priorities(config), *_objective(config)]


def _sizes(config: ModelConfig) -> Iterator[BrokenRule]:
    most = config.max_batch_size
    if most < 0:
        yield BrokenRule(
            ("max_batch_size",),
            f"max_batch_size: found {most}, expected 0 for a model without a batch dimension, or 1 or more",
        )
    if not most:
        # A model may leave its batch size to be completed when it is loaded; only then is the rest known.
        return
    for index, size in enumerate(config.dynamic_batching.preferred_batch_size):
        if not 1 <= size <= most:
            yield BrokenRule(
                ("dynamic_batching", 0, "preferred_batch_size", index),
                f"preferred_batch_size: found {size}, expected 1 to max_batch_size, which is {most}",
            )


def _priorities(config: ModelConfig) -> Iterator[BrokenRule]:
    dynamic = config.dynamic_batching
    levels = dynamic.priority_levels
    if levels > MOST_PRIORITY_LEVELS:
        yield BrokenRule(
            ("dynamic_batching", 0, "priority_levels"),
            f"priority_levels: found {levels}, expected at most {MOST_PRIORITY_LEVELS}",
        )
    if levels and not 1 <= dynamic.default_priority_level <= levels:
        yield BrokenRule(
            ("dynamic_batching", 0, "default_priority_level"),
            f"default_priority_level: found {dynamic.default_priority_level}, "
            f"expected 1 to priority_levels, which is {levels}",
        )
    for level in sorted(dynamic.priority_queue_policy):
        if not 1 <= level <= levels:
            yield BrokenRule(
                ("dynamic_batching", 0, "priority_queue_policy"),
                f"priority_queue_policy: found level {level}, "
                f"expected 1 to priority_levels, which is {levels}",
            )


def _objective(config: ModelConfig) -> Iterator[BrokenRule]:
    if SLO_MS not in config.parameters:
        return
    found = config.parameters[SLO_MS].string_value
    try:
        milliseconds = float(found)
    except ValueError:
        milliseconds = math.nan
    if not 0 < milliseconds <= MOST_SLO_MS:
        yield BrokenRule(
            ("parameters", SLO_MS),
            f'parameters: found "{found}" for {SLO_MS}, '
            f"expected a number of milliseconds above 0, at most {MOST_SLO_MS}",
        )
