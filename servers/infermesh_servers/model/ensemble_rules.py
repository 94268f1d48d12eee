"""What the configuration of an ensemble must keep, as far as it can be told without its members."""

from collections.abc import Iterator

from infermesh.proto.inference.model_config_pb2 import ModelConfig, ModelEnsembling
from infermesh.remarks import BrokenRule, Path

from infermesh_servers.model.backends import ENSEMBLE

_STEPS: Path = ("ensemble_scheduling", 0, "step")

#: A version of a step that means the newest, and, since an unset number reads as 0, that too.
NEWEST = -1


def ensemble_rules(config: ModelConfig, model_name: str) -> Iterator[BrokenRule]:
    """Yield every mistake of an ensemble; of any other model, whether it was meant to be one."""
    if not config.HasField("ensemble_scheduling"):
        if config.platform == ENSEMBLE:
            yield BrokenRule(
                ("platform",),
                'ensemble_scheduling: found none, expected it beside platform "ensemble"',
            )
        return
    yield from _frame(config)
    steps = config.ensemble_scheduling.step
    for index, step in enumerate(steps):
        yield from _step(model_name, index, step)
    yield from _flow(config)


def _frame(config: ModelConfig) -> Iterator[BrokenRule]:
    if config.backend or config.platform not in ("", ENSEMBLE):
        field = "backend" if config.backend else "platform"
        yield BrokenRule(
            (field,),
            f'{field}: found "{getattr(config, field)}" beside ensemble_scheduling, '
            'expected platform "ensemble"',
        )
    if config.instance_group:
        yield BrokenRule(
            ("instance_group",),
            "instance_group: found, expected none: an ensemble has no instances, its members have",
        )
    if not config.ensemble_scheduling.step:
        yield BrokenRule(
            ("ensemble_scheduling",), "ensemble_scheduling.step: found none, expected at least one"
        )
    for kind in ("input", "output"):
        if not getattr(config, kind):
            yield BrokenRule(("ensemble_scheduling",), f"{kind}: found none, expected the ensemble's {kind}s")


def _step(name: str, index: int, step: ModelEnsembling.Step) -> Iterator[BrokenRule]:
    at = (*_STEPS, index)
    called = _called(index, step)
    if not step.model_name:
        yield BrokenRule(at, f"step.model_name: found none in {called}, expected a model")
    elif step.model_name == name:
        yield BrokenRule(
            (*at, "model_name"), f'step.model_name: found "{name}", the ensemble itself, expected another'
        )
    if step.model_version < NEWEST:
        yield BrokenRule(
            (*at, "model_version"),
            f"step.model_version: found {step.model_version} in {called}, "
            "expected a version, or -1 for the newest",
        )
    for field in ("input_map", "output_map"):
        tensors = getattr(step, field)
        if not tensors:
            yield BrokenRule(at, f"step.{field}: found none in {called}, expected at least one entry")
        for key, tensor in sorted(tensors.items()):
            if not key or not tensor:
                missing = "key" if not key else "value"
                yield BrokenRule(
                    (*at, field),
                    f"step.{field}: found an entry without a {missing} in {called}, expected both",
                )


def _flow(config: ModelConfig) -> Iterator[BrokenRule]:
    """Every tensor has one source; what is taken is made; no step waits for itself."""
    steps = list(enumerate(config.ensemble_scheduling.step))
    sources = {tensor.name: f'input "{tensor.name}" of the ensemble' for tensor in config.input}
    for index, step in steps:
        for output, tensor in sorted(step.output_map.items()):
            source = f'output "{output}" of {_called(index, step)}'
            if tensor in sources:
                yield BrokenRule(
                    (*_STEPS, index, "output_map"),
                    f'step.output_map: found "{tensor}" from {source} and from {sources[tensor]}, '
                    "expected one source",
                )
            sources[tensor] = source
    taken: set[str] = set()
    for index, step in steps:
        for key, tensor in sorted(step.input_map.items()):
            taken.add(tensor)
            if tensor and tensor not in sources:
                yield BrokenRule(
                    (*_STEPS, index, "input_map"),
                    f'step.input_map: found "{tensor}" for "{key}" in {_called(index, step)}, '
                    "expected an input of the ensemble or what a step puts out",
                )
    for position, made in enumerate(config.output):
        taken.add(made.name)
        if made.name not in sources:
            yield BrokenRule(
                ("output", position, "name"),
                f'output.name: found "{made.name}", expected an output that a step\'s output_map makes',
            )
    for position, given in enumerate(config.input):
        if given.name not in taken:
            yield BrokenRule(
                ("input", position, "name"),
                f'input.name: found "{given.name}", expected an input that a step\'s input_map takes',
            )
    yield from _circle(config)


def _circle(config: ModelConfig) -> Iterator[BrokenRule]:
    made = {tensor.name for tensor in config.input}
    waiting = list(enumerate(config.ensemble_scheduling.step))
    makeable = {tensor for _, step in waiting for tensor in step.output_map.values()}
    while waiting:
        # A tensor that nobody makes is a mistake of its own.
        ready = [it for it in waiting if not (set(it[1].input_map.values()) & makeable) - made]
        if not ready:
            circle = ", ".join(_called(index, step) for index, step in waiting)
            yield BrokenRule(
                (*_STEPS, waiting[0][0], "input_map"),
                f"step.input_map: found steps that wait for each other: {circle}; expected no circle",
            )
            return
        made.update(tensor for _, step in ready for tensor in step.output_map.values())
        waiting = [it for it in waiting if it not in ready]


def _called(index: int, step: ModelEnsembling.Step) -> str:
    return f'step {index + 1} (model "{step.model_name}")'
