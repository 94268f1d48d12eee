import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.target.headers import parse
from infermesh_perf.target.target import target


def test_names_are_lower_case_and_values_as_they_are() -> None:
    found = parse(["Authorization: Bearer a:b", "x-empty:", "trace-bin: AAE"])

    assert found == (("authorization", "Bearer a:b"), ("x-empty", ""), ("trace-bin", "AAE"))


def test_a_host_is_the_authority() -> None:
    found = target("10.0.0.1:80", "http", headers=["Host: model.example", "x: y"])

    assert found.authority == "model.example"
    assert found.headers == (("x", "y"),)
    assert found.message().authority == "model.example"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Bearer secret", "no header"),
        ("a name: value", "no header"),
        ("Content-Type: text/plain", "content-type is set by the protocol"),
        ("grpc-timeout: 1S", "grpc-timeout is set by the protocol"),
        ("x: a\nb: c", "control characters"),
        ("x-bin: not base64", "not base64"),
    ],
)
def test_says_what_is_wrong_without_the_secret(text: str, said: str) -> None:
    with pytest.raises(SetupError, match=said) as caught:
        parse([text])
    assert "secret" not in str(caught.value)
