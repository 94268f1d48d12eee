"""The ONNX Runtime library is found without importing its package."""

import subprocess
import sys
from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh_servers.model.onnxruntime_library import find_library


def test_the_installed_library_is_found_and_nothing_imported() -> None:
    code = (
        "import sys\n"
        "from infermesh_servers.model.onnxruntime_library import find_library\n"
        "assert find_library().is_file()\n"
        "assert 'onnxruntime' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_package_that_is_not_there_says_what_to_install() -> None:
    with pytest.raises(ConfigurationError, match="not installed") as caught:
        find_library("onnxruntime_that_nobody_installed")
    assert caught.value.hint is not None


def test_providers_are_not_taken_for_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runtime_of_a_test" / "capi"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "libonnxruntime_providers_shared.so").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"expected libonnxruntime\.so"):
        find_library("runtime_of_a_test")
    (folder / "libonnxruntime.so.1.23.0").touch()
    assert find_library("runtime_of_a_test").name == "libonnxruntime.so.1.23.0"
