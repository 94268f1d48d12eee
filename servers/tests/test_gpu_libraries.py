"""Where a GPU's libraries are found, and what is said when they are not."""

import ctypes
import subprocess
from pathlib import Path

import pytest
from google.protobuf import text_format
from infermesh.proto.inference.model_config_pb2 import ModelConfig
from infermesh_servers.model.gpu_libraries import explain, has_cuda, may_use_gpu, preload


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """An ONNX Runtime that says that it was built for CUDA 13."""
    folder = tmp_path / "onnxruntime" / "capi"
    folder.mkdir(parents=True)
    (folder / "build_and_package_info.py").write_text(
        "package_name = 'onnxruntime-gpu'\ncuda_version = '13.0'\n"
    )
    (folder / "libonnxruntime_providers_cuda.so").touch()
    return folder / "libonnxruntime.so.1.31.1"


def library(folder: Path, name: str) -> None:
    """A library that holds nothing but its name."""
    folder.mkdir(exist_ok=True)
    source = folder / "empty.c"
    source.write_text("")
    subprocess.run(
        ["cc", "-shared", f"-Wl,-soname,{name}", "-o", folder / name, source], check=True, capture_output=True
    )


def test_a_library_is_known_by_its_name_once_it_is_loaded(runtime: Path, tmp_path: Path) -> None:
    library(tmp_path / "lib", "libcublasLt.so.13")
    with pytest.raises(OSError, match="cannot open shared object file"):
        ctypes.CDLL("libcublasLt.so.13")
    assert preload(runtime, [tmp_path / "lib"]) == ["libcublasLt.so.13"]
    ctypes.CDLL("libcublasLt.so.13")


def test_only_the_version_of_the_build_is_loaded(runtime: Path, tmp_path: Path) -> None:
    library(tmp_path / "old", "libcudart.so.12")
    library(tmp_path / "new", "libcudart.so.13")
    assert preload(runtime, [tmp_path / "old", tmp_path / "new"]) == ["libcudart.so.13"]


def test_a_file_that_is_no_library_is_passed_over(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "libcurand.so.10").write_text("no library")
    library(tmp_path / "whole", "libcurand.so.10")
    assert preload(runtime, [tmp_path / "broken", tmp_path / "whole"]) == ["libcurand.so.10"]
    assert preload(runtime, [tmp_path / "absent"]) == []


def test_a_build_with_cuda_is_known(runtime: Path, tmp_path: Path) -> None:
    assert has_cuda(runtime)
    assert not has_cuda(tmp_path / "libonnxruntime.so.1.31.1")


def test_what_is_missing_is_named_with_its_remedy(runtime: Path) -> None:
    def said(name: str) -> str:
        return explain(f"with error: {name}: cannot open shared object file: No such file", runtime)

    assert said("libcublasLt.so.13").startswith("libcublasLt.so.13 was found neither")
    assert "built for CUDA 13: pip install 'onnxruntime-gpu[cuda,cudnn]'" in said("libcublasLt.so.13")
    assert "comes with the NVIDIA driver" in said("libcuda.so.1")
    assert "pip install tensorrt" in said("libnvinfer.so.10")
    assert explain("found no ONNX model", runtime) == ""


@pytest.mark.parametrize(
    ("config", "may"),
    [
        ("", True),
        ("instance_group { count: 2 }", True),
        ("instance_group { kind: KIND_GPU }", True),
        ("instance_group { kind: KIND_CPU }", False),
        ("instance_group { kind: KIND_CPU } instance_group { kind: KIND_GPU }", True),
    ],
)
def test_a_model_that_keeps_to_the_cpu_loads_none_of_it(config: str, may: bool) -> None:
    assert may_use_gpu(text_format.Parse(config, ModelConfig())) is may
