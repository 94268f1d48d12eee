"""Calls functions that enrichments name, for what their fields cannot say."""

import importlib
import inspect
import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from infermesh.errors import ConfigurationError
from infermesh.logs import ecs

from infermesh_sidecar.process.native import Hook, Proxy

_log = logging.getLogger("infermesh.sidecar")

#: Threads that call functions: one that waits for something holds up a quarter of the others.
THREADS = 4

#: How long one look at an empty queue lasts; a request ends it at once.
_PATIENCE_SECONDS = 0.5

#: Is given the fields of a rule by their names, and returns tensors by the names of the model's inputs.
Function = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def load_functions(names: Iterable[str], folder: Path) -> dict[str, Function]:
    """Import ``module:function`` for each name; modules are looked for in ``folder`` first.

    Raises ConfigurationError that says what is wrong with which.
    """
    sys.path.insert(0, str(folder.resolve()))
    return {name: _load(name) for name in names}


class Hooks:
    """``step`` is to be called again and again, by several threads."""

    def __init__(self, proxy: Proxy, functions: Mapping[str, Function]) -> None:
        self._proxy = proxy
        self._functions = functions

    def step(self) -> None:
        """Answer the requests that wait."""
        for hook in self._proxy.take_hooks(_PATIENCE_SECONDS):
            self._answer(hook)

    def _answer(self, hook: Hook) -> None:
        message = hook.call
        if message is None:
            return
        call = json.loads(message)
        try:
            tensors = self._functions[call["function"]](call["fields"])
            reply = json.dumps({"tensors": dict(tensors)}, default=_plain)
        except Exception as error:
            _log.warning(
                "%s failed for %s: %s: %s",
                call["function"],
                call["rule"],
                type(error).__name__,
                error,
                exc_info=_log.isEnabledFor(logging.DEBUG),
                extra=ecs("transform-failed"),
            )
            reply = json.dumps({"error": f"{type(error).__name__}: {error}"})
        hook.reply(reply.encode())


def _load(name: str) -> Function:
    module_name, _, function_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ConfigurationError(
            f"transform {name}: cannot import it: {type(error).__name__}: {error}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        found = "no such name" if function is None else type(function).__name__
        raise ConfigurationError(f"transform {name}: found {found}, expected a function in {module.__file__}")
    if inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"transform {name}: found a coroutine function, expected one that returns")
    loaded: Function = function
    return loaded


def _plain(value: Any) -> Any:
    """Arrays of numpy, and of whoever does as it does, are lists of lists."""
    if callable(tolist := getattr(value, "tolist", None)):
        return tolist()
    raise TypeError(f"a tensor holds {type(value).__name__}, expected numbers, text, lists or arrays")
