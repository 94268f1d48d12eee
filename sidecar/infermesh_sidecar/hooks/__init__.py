"""Functions of people, for what the fields of an enrichment cannot say: ``transform: module:function``.

A function gets a ``Call`` and returns the model's inputs by their names. ``functions`` finds it when the
sidecar starts, ``runner`` answers the requests that wait for it, on a few threads; those that are ``async``
share a loop (``coroutines``). ``reply`` makes JSON of what they return, and the data plane tensors of that.
"""

from infermesh_sidecar.hooks.call import Call, Input
from infermesh_sidecar.hooks.functions import Function, load_functions
from infermesh_sidecar.hooks.runner import Hooks

__all__ = ["Call", "Function", "Hooks", "Input", "load_functions"]
