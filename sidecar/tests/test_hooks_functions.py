"""Functions are found when the sidecar starts, or it says what it looked for."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh_sidecar.hooks import load_functions

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Writes a module beside the configuration."""
    path, modules = list(sys.path), set(sys.modules)

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)

    yield write
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def refused(name: str, folder: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_functions([name], folder)
    return str(caught.value)


def test_functions_lie_beside_the_configuration_or_where_python_looks(tmp_path: Path, write: Write) -> None:
    write(
        "ops_beside",
        "def order(call): return {'x': call}\nclass Shop:\n    @staticmethod\n    def cart(call): return 1",
    )
    names = ["ops_beside:order", "ops_beside:Shop.cart", "json:dumps"]
    found = load_functions(names, tmp_path)
    assert list(found) == names
    assert found["ops_beside:order"].call(7) == {"x": 7}
    assert found["ops_beside:Shop.cart"].call(7) == 1
    assert not found["ops_beside:order"].is_async


def test_coroutines_are_told_apart(tmp_path: Path, write: Write) -> None:
    write(
        "ops_waiting",
        "async def order(call): return {}\n"
        "class Callable:\n    async def __call__(self, call): return {}\n"
        "instance = Callable()\n",
    )
    found = load_functions(["ops_waiting:order", "ops_waiting:instance"], tmp_path)
    assert all(function.is_async for function in found.values())


def test_a_module_that_is_not_there_is_named_with_where_it_was_looked_for(
    tmp_path: Path, write: Write
) -> None:
    write("ops_other", "")
    message = refused("ops_missing:order", tmp_path)
    assert message.startswith("transform ops_missing:order: there is no module 'ops_missing'; looked in")
    assert str(tmp_path.resolve()) in message
    assert sys.path[-1] in message
    assert "no module 'ops_other.deeper'" in refused("ops_other.deeper:order", tmp_path)


def test_a_module_that_does_not_run_is_not_one_that_is_missing(tmp_path: Path, write: Write) -> None:
    write("ops_needy", "import ops_not_installed")
    write("ops_broken", "def order(call):\n  return {\n")
    message = refused("ops_needy:order", tmp_path)
    assert "importing 'ops_needy' failed: ModuleNotFoundError: No module named 'ops_not_installed'" in message
    assert "importing 'ops_broken' failed: SyntaxError" in refused("ops_broken:order", tmp_path)


@pytest.mark.parametrize(
    ("function", "fragment"),
    [
        ("ordre", "has no 'ordre'; did you mean 'order'?"),
        ("zzz", "has no 'zzz'; it has Shop, order, two"),
        ("Shop.zzz", "'Shop' of 'ops_wrong'"),
        ("LIMIT", "found int for LIMIT in"),
        ("two", "with the arguments (call, more), expected one: the call"),
    ],
)
def test_what_is_no_function_of_a_call_is_refused(
    tmp_path: Path, write: Write, function: str, fragment: str
) -> None:
    write("ops_wrong", "LIMIT = 1\ndef order(call): ...\ndef two(call, more): ...\nclass Shop: ...\n")
    message = refused(f"ops_wrong:{function}", tmp_path)
    assert fragment in message
    assert "ops_wrong.py" in message
