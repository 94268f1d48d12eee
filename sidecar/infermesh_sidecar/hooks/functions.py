"""Finds the functions that enrichments name, when there is still somebody to tell what is wrong with them."""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from infermesh.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Function:
    """A function, and how it is called."""

    #: ``module:function``.
    name: str
    call: Callable[[Any], Any]
    is_async: bool


def load_functions(names: Iterable[str], folder: Path) -> dict[str, Function]:
    """Import ``module:function`` for each name.

    Modules are looked for in ``folder`` first, where sidecar.yaml is, and then wherever Python looks.

    Raises ConfigurationError for a module or a function that is not there, and says where it was looked for;
    and for what cannot be called with one argument.
    """
    found = str(folder.resolve())
    if found not in sys.path:
        sys.path.insert(0, found)
    return {name: _load(name, found) for name in names}


def _load(name: str, folder: str) -> Function:
    module_name, _, path = name.partition(":")
    module = _import(name, module_name, folder)
    function: Any = module
    for part in path.split("."):
        if not hasattr(function, part):
            raise ConfigurationError(f"transform {name}: {_missing(function, part, module)}")
        function = getattr(function, part)
    where = f"{path} in {_file(module)}"
    if not callable(function):
        raise ConfigurationError(
            f"transform {name}: found {type(function).__name__} for {where}, expected a function"
        )
    _check_signature(name, where, function)
    called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)
    return Function(name, function, is_async)


def _import(name: str, module_name: str, folder: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _failed(name, module_name, error) from error
        rest = ", ".join(path for path in sys.path if path not in ("", folder))
        raise ConfigurationError(
            f"transform {name}: there is no module '{error.name}'; looked in {folder}, where the "
            f"configuration is, and in {rest}",
            hint=f"put {error.name.partition('.')[0]}.py beside the configuration, or set PYTHONPATH",
        ) from error
    except Exception as error:
        raise _failed(name, module_name, error) from error


def _failed(name: str, module_name: str, error: Exception) -> ConfigurationError:
    """A module that is there, and whose own code does not run."""
    return ConfigurationError(
        f"transform {name}: importing '{module_name}' failed: {type(error).__name__}: {error}"
    )


def _missing(holder: Any, part: str, module: ModuleType) -> str:
    # For those alone who have mistyped a name.
    import difflib

    owner = f"'{module.__name__}'" if holder is module else f"'{holder.__name__}' of '{module.__name__}'"
    known = sorted(it for it, value in vars(holder).items() if callable(value) and not it.startswith("_"))
    said = f"{owner} ({_file(module)}) has no '{part}'"
    if close := difflib.get_close_matches(part, known, n=1):
        return f"{said}; did you mean '{close[0]}'?"
    return f"{said}; it has {', '.join(known) if known else 'no functions'}"


def _check_signature(name: str, where: str, function: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Of what is written in C nobody knows it.
        return
    try:
        signature.bind(None)
    except TypeError as error:
        raise ConfigurationError(
            f"transform {name}: found {where} with the arguments {signature}, expected one: the call"
        ) from error


def _file(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or f"module {module.__name__}"
