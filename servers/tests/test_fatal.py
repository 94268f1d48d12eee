"""Which failures of a model's code are the end of it."""

import sys
from types import ModuleType

import pytest
from infermesh_servers.model.fatal import FatalError, is_fatal


class AcceleratorError(RuntimeError):
    """Named, and placed, as PyTorch's own."""

    def __init__(self, error_code: int) -> None:
        self.error_code = error_code


AcceleratorError.__module__ = "torch"


def test_a_model_says_so_itself() -> None:
    assert is_fatal(FatalError("the device is lost"))
    assert not is_fatal(RuntimeError("CUDA error: an illegal memory access was encountered"))


@pytest.mark.parametrize(("code", "fatal"), [(700, True), (719, True), (214, True), (2, False), (1, False)])
def test_pytorch_says_so_by_its_code(code: int, fatal: bool) -> None:
    assert is_fatal(AcceleratorError(code)) is fatal


def test_torch_is_not_imported_to_find_out() -> None:
    before = sys.modules.get("torch")
    is_fatal(AcceleratorError(700))
    found: ModuleType | None = sys.modules.get("torch")
    assert found is before
