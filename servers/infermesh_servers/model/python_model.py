"""What a person writes as ``model.py``, and how it is imported.

A model file holds one class::

    import numpy as np

    class Model:
        inputs = {"image": ("FP32", [64])}      # name: (datatype, shape of one item)
        outputs = {"sum": ("FP32", [1])}
        max_batch_size = 64

        def infer(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {"sum": batch["image"].sum(axis=1, keepdims=True)}

``infer`` is called once per batch, with read-only arrays whose first dimension is the batch (if
max_batch_size is 1 or more). The three declarations complete config.pbtxt, which may then be missing; what
it says itself takes precedence. Optional: ``__init__(self, context)`` with a `ModelContext`, and
``close(self)``, called when the server lets go of the instance. Modules beside model.py are imported
relatively: ``from . import tokens``.

With ``decoupled = True`` in the class (or ``model_transaction_policy { decoupled: true }`` in config.pbtxt) a
request may have any number of answers: ``infer`` is a generator, is called once per request and yields a dict
for each answer.
"""

import inspect
import itertools
import sys
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from infermesh.proto.inference.model_config_pb2 import ModelConfig, ModelInput, ModelOutput

from infermesh_servers.model.datatypes import data_type

CLASS_NAME = "Model"

_loads = itertools.count(1)


@dataclass(frozen=True)
class ModelContext:
    """What a model may want to know about itself when it is created."""

    name: str
    version: int
    #: The version's directory, which holds model.py and whatever the model keeps beside it.
    directory: Path
    #: ``parameters`` of config.pbtxt.
    parameters: Mapping[str, str]
    #: Which of the model's instances this is, from 0.
    instance: int


@dataclass(frozen=True)
class Source:
    """One import of a model file; its modules are forgotten when the last reference to this object goes."""

    model: type[Any]
    module_name: str


class Model(Protocol):
    """One instance of a model: called from one thread at a time."""

    def infer(self, batch: dict[str, Any]) -> Any:
        """Answer one batch of numpy arrays by input name with arrays by output name.

        A decoupled model returns an iterator of such answers instead, for one request.
        """


def import_model(file: Path, name: str) -> Source:
    """Run a model file and find its class ``Model``.

    Each call runs it anew under a module name of its own, so versions share no state and a changed file is
    never answered from a cache. Raises what the file raises, and TypeError if it holds no fitting class.
    """
    module = ModuleType(f"infermesh_model_{name}_{next(_loads)}")
    module.__file__ = str(file)
    # A package whose submodules are the files beside it: the relative imports of two models never meet.
    module.__path__ = [str(file.parent)]
    module.__package__ = module.__name__
    sys.modules[module.__name__] = module
    try:
        exec(compile(file.read_bytes(), file, "exec"), module.__dict__)
        source = Source(_model_class(module, file), module.__name__)
    except BaseException:
        _forget(module.__name__)
        raise
    weakref.finalize(source, _forget, module.__name__)
    return source


def _model_class(module: ModuleType, file: Path) -> type[Any]:
    model = getattr(module, CLASS_NAME, None)
    if not inspect.isclass(model):
        raise TypeError(f"{file}: found no class {CLASS_NAME}, expected one with a method infer(self, batch)")
    if not callable(getattr(model, "infer", None)):
        raise TypeError(f"{file}: found no method infer in class {CLASS_NAME}, expected infer(self, batch)")
    return model


def _forget(module_name: str) -> None:
    """Drop a model's module, and those beside it that it imported, from the interpreter's table."""
    for name in [name for name in sys.modules if name == module_name or name.startswith(f"{module_name}.")]:
        del sys.modules[name]


def create(model: type[Any], context: ModelContext) -> Model:
    """Create one instance; the context is passed if ``__init__`` has a parameter for it."""
    takes_context = bool(inspect.signature(model).parameters)
    instance: Model = model(context) if takes_context else model()
    return instance


def complete(config: ModelConfig, model: type[Any]) -> ModelConfig:
    """Return a copy of a configuration, with what it leaves out taken from the class's declarations.

    As with Triton's own completion, a batch size that comes from the class also turns dynamic batching on,
    unless a scheduler is configured. Raises TypeError or ValueError for a declaration that cannot be
    understood, and ValueError if neither place names inputs and outputs.
    """
    completed = ModelConfig()
    completed.CopyFrom(config)
    if not completed.input:
        completed.input.extend(
            ModelInput(name=name, data_type=data_type(wire), dims=dims)
            for name, wire, dims in _declared(model, "inputs")
        )
    if not completed.output:
        completed.output.extend(
            ModelOutput(name=name, data_type=data_type(wire), dims=dims)
            for name, wire, dims in _declared(model, "outputs")
        )
    for kind, tensors in (("input", completed.input), ("output", completed.output)):
        if not tensors:
            raise ValueError(
                f"found no {kind}s, expected them in config.pbtxt or in the class: "
                f'{kind}s = {{"name": ("FP32", [64])}}'
            )
    declared = getattr(model, "max_batch_size", 0)
    if not isinstance(declared, int) or isinstance(declared, bool) or declared < 0:
        raise TypeError(f"max_batch_size: found {declared!r} in class {CLASS_NAME}, expected 0 or more")
    if declared and not completed.max_batch_size:
        completed.max_batch_size = declared
        if declared > 1 and completed.WhichOneof("scheduling_choice") is None:
            completed.dynamic_batching.SetInParent()
    decoupled = getattr(model, "decoupled", False)
    if not isinstance(decoupled, bool):
        raise TypeError(f"decoupled: found {decoupled!r} in class {CLASS_NAME}, expected True or False")
    if decoupled and not completed.HasField("model_transaction_policy"):
        completed.model_transaction_policy.decoupled = True
    return completed


def _declared(model: type[Any], attribute: str) -> Iterable[tuple[str, str, list[int]]]:
    declarations = getattr(model, attribute, {})
    if not isinstance(declarations, Mapping):
        raise TypeError(
            f'{attribute}: found {declarations!r} in class {CLASS_NAME}, expected {{"name": ("FP32", [64])}}'
        )
    for name, declaration in declarations.items():
        match declaration:
            case (str() as wire, [*dims]) if all(
                isinstance(dim, int) and (dim > 0 or dim == -1) for dim in dims
            ):
                yield name, wire, list(dims)
            case _:
                raise TypeError(
                    f"{attribute}[{name!r}]: found {declaration!r} in class {CLASS_NAME}, "
                    'expected (datatype, dimensions) such as ("FP32", [64]), -1 for any size'
                )
