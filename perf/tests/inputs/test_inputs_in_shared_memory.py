"""Tensors in shared memory: the server reads and writes them there, and nothing is left behind."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.inputs import regions
from infermesh_perf.inputs.options import DataOptions
from infermesh_perf.inputs.prepare import prepare
from infermesh_perf.inputs.sample import Inputs, Sample
from infermesh_perf.inputs.shared_memory import Kind, shared
from infermesh_perf.inputs.workload import WorkloadOptions, build
from infermesh_perf.target.api import Api
from infermesh_perf.target.errors import RefusedError
from infermesh_perf.target.model import describe
from infermesh_perf.target.tensors import from_raw
from support.load_models import model

OBJECTS = Path("/dev/shm")


def ours() -> set[str]:
    return {path.name for path in OBJECTS.glob("infermesh-perf-*")}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = ours()
    yield
    assert ours() == before


def test_inputs_are_read_there(api: Api) -> None:
    described = describe(api, "add")
    inputs = prepare(described, DataOptions(batch=2, payloads=3))
    with shared(api, "system", described, inputs.scripts) as placements:
        workload = build(described, api.target.address.protocol, inputs, WorkloadOptions(), placements)
        for payload, sample in zip(workload.scripts[0].payloads, inputs.samples, strict=True):
            assert len(payload.body) < 600
            answer = api.infer(workload.path, payload)
            found = from_raw("FP32", (2, 16), answer.raw_output_contents[0])
            assert np.array_equal(found, sample.inputs["a"] + sample.inputs["b"])
    with pytest.raises(RefusedError, match="Unable to find shared memory region"):
        api.infer(workload.path, workload.scripts[0].payloads[0])


def test_outputs_are_written_there(api: Api) -> None:
    described = describe(api, "two")
    inputs = Inputs([[Sample({"x": np.array([[7]], np.int32)})]], 1, "a test")
    with shared(api, "system", described, inputs.scripts, 4) as placements:
        (name,) = ours()
        workload = build(described, api.target.address.protocol, inputs, WorkloadOptions(), placements)
        answer = api.infer(workload.path, workload.scripts[0].payloads[0])
        content = (OBJECTS / name).read_bytes()
        assert all(raw == b"" for raw in answer.raw_output_contents)
        for output, value in (("y", 7), ("z", -7)):
            place = placements[0][0].outputs[output]
            assert np.frombuffer(content, "<i4", 1, place.offset)[0] == value
    with shared(api, "system", described, inputs.scripts, 4, ("z",)) as placements:
        assert list(placements[0][0].outputs) == ["z"]


def test_texts_are_read_there(api: Api) -> None:
    described = describe(api, "reverse")
    inputs = Inputs([[Sample({"x": np.array([[b"abc"]], object)})]], 1, "a test")
    with shared(api, "system", described, inputs.scripts) as placements:
        workload = build(described, api.target.address.protocol, inputs, WorkloadOptions(), placements)
        answer = api.infer(workload.path, workload.scripts[0].payloads[0])
    assert answer.raw_output_contents[0] == b"\3\0\0\0cba"


def test_it_is_gone_after_an_error(api: Api) -> None:
    described = describe(api, "fixed")
    inputs = prepare(described, DataOptions(payloads=1))
    for kind in (KeyboardInterrupt, RuntimeError):
        with (
            pytest.raises(kind, match="infermesh-perf-"),
            shared(api, "system", described, inputs.scripts),
        ):
            raise kind(*ours())


def test_a_server_that_cannot_map_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    described = describe(api, "fixed")
    inputs = prepare(described, DataOptions(payloads=1))
    real = api.register_system_memory
    # As a server elsewhere sees it: there is no object of that name.
    monkeypatch.setattr(
        api, "register_system_memory", lambda name, key, size: real(name, f"{key}-elsewhere", size)
    )
    with (
        pytest.raises(SetupError, match="Unable to open shared memory region") as caught,
        shared(api, "system", described, inputs.scripts),
    ):
        pass
    assert "must share a machine" in str(caught.value.hint)


def test_no_room_for_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(regions, "SharedMemory", full)
    inputs = prepare(model(), DataOptions(payloads=1))
    with pytest.raises(SetupError, match="No space left"), shared(api, "system", model(), inputs.scripts):
        pass


def test_without_it_nothing_is_made(api: Api) -> None:
    inputs = prepare(model(), DataOptions(payloads=2))
    with shared(api, "none", model(), inputs.scripts) as placements:
        assert not ours()
    assert [[place.inputs for place in script] for script in placements] == [[{}, {}]]


@pytest.mark.parametrize(
    ("kind", "size", "said"), [("none", 4, "without effect"), ("system", -1, "found -1")]
)
def test_sizes_that_cannot_be(api: Api, kind: Kind, size: int, said: str) -> None:
    with pytest.raises(SetupError, match=said), shared(api, kind, model(), [], size):
        pass


def test_cuda_needs_its_bindings(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a machine without them, whatever this one has.
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    monkeypatch.delitem(sys.modules, "tritonclient.utils.cuda_shared_memory", raising=False)
    inputs = prepare(model(), DataOptions(payloads=1))
    with (
        pytest.raises(SetupError, match="bindings cannot be loaded") as caught,
        shared(api, "cuda", model(), inputs.scripts),
    ):
        pass
    assert "--shared-memory system" in str(caught.value.hint)
