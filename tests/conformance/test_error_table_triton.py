"""The same error table against a real Triton: whoever changes one of the two servers sees where they part."""

from collections.abc import Iterator

import grpc
import pytest
from support import triton
from support.client import Client, status
from support.error_table import CASES, GOOD, Case
from support.repository import Repository

REASON = triton.missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")

COMPARED = [case for case in CASES if case.triton is not None]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("triton")
    repository = Repository.make(folder / "repository")
    triton.write_models(repository)
    with triton.triton(repository, folder / "server.log") as target, Client(target) as client:
        yield client


@pytest.mark.parametrize("case", COMPARED, ids=lambda case: case.name)
def test_code_and_message(client: Client, case: Case) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        case.call(client)
    code, message = status(caught.value)
    assert (code, case.triton_message in message) == (case.code, True), message


@pytest.mark.parametrize("call", GOOD.values(), ids=GOOD.keys())
def test_what_is_right_is_accepted(client: Client, call: object) -> None:
    assert callable(call)
    assert call(client)
