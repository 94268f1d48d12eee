"""What HTTP says to requests that cannot be served: the status, and the message that gRPC would give."""

import socket

import pytest
from support.rest import HEADER_LENGTH, Rest, json_request
from support.server import Server

GOOD = json_request("FP32", [1, 4], [1, 2, 3, 4])
INFER = "/v2/models/identity_fp32/infer"


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v2/models/absent/infer", GOOD, 404, "Request for unknown model: 'absent' is not found"),
        ("/v2/models/identity_fp32/versions/9/infer", GOOD, 404, "version 9 is not found"),
        ("/v2/models/identity_fp32/versions/abc/infer", GOOD, 400, "version string 'abc'"),
        (INFER, b"", 400, "failed to parse the request JSON buffer"),
        (INFER, b"{", 400, "failed to parse the request JSON buffer"),
        (INFER, b"\xff\xfe", 400, "failed to parse the request JSON buffer"),
        (INFER, [], 400, "failed to parse the request JSON buffer"),
        (INFER, {}, 400, "missing field `inputs`"),
        (INFER, {"inputs": []}, 400, "expected 1 inputs but got 0 inputs"),
        (INFER, json_request("INT32", [1, 4], [1, 2, 3, 4]), 400, "data-type is 'INT32'"),
        (INFER, json_request("FP32", [1, 5], [1, 2, 3, 4, 5]), 400, "Expected [-1,4], got [1,5]"),
        (INFER, json_request("FP32", [1, 4], [1, 2, 3]), 400, "Expected 16, got 12"),
        (INFER, json_request("FP32", [1, 4], [1, 2, 3, "4"]), 400, 'value "4" is a string'),
        (INFER, json_request("FP32", [1, 4], [1, 2, 3, 1e300]), 400, "does not fit"),
        (INFER, json_request("FP32", [1, 4], 7), 400, "expected an array"),
        (INFER, {**GOOD, "outputs": [{"name": "z"}]}, 400, "unexpected inference output 'z'"),
        (INFER, {**GOOD, "parameters": {"triton_x": 1}}, 400, "'triton_x' is unknown"),
        (INFER, {**GOOD, "parameters": {"k": [1]}}, 400, "parameter 'k'"),
    ],
)
def test_statuses(rest: Rest, path: str, body: object, status: int, message: str) -> None:
    answer = rest.post(path, body)
    assert message in answer.error
    assert answer.status == status
    # The connection has survived it.
    assert rest.post(INFER, GOOD).status == 200


@pytest.mark.parametrize(
    ("length", "message"),
    [
        ("-1", "inference-header-content-length is '-1'"),
        ("9999", "expected at most"),
        ("x", "is 'x'"),
        ("5", "failed to parse"),
    ],
)
def test_a_header_length_that_is_none(rest: Rest, length: str, message: str) -> None:
    answer = rest.post(INFER, GOOD, {HEADER_LENGTH: length})
    assert answer.status == 400
    assert message in answer.error


def test_paths_and_methods(rest: Rest) -> None:
    for path in ("/", "/v2/", "/v1/models", "/v2/models", "/v2/models/identity_fp32/explain", "/metrics"):
        assert (rest.get(path).status, path) == (404, path)
    for method, path, allowed in [
        ("GET", INFER, "POST"),
        ("POST", "/v2", "GET"),
        ("DELETE", "/v2/health/live", "GET"),
        ("GET", "/v2/repository/index", "POST"),
    ]:
        answer = rest.call(method, path)
        assert answer.status == 405
        assert answer.headers["allow"] == allowed
        assert answer.error


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"GET /v2 HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % each for each in range(200)) + b"\r\n",
        b"GET /v2 HTTP/1.1\r\nX: " + b"y" * 2_000_000 + b"\r\n\r\n",
        b"POST /v2/models/identity_fp32/infer HTTP/1.1\r\nContent-Length: -4\r\n\r\n",
        b"POST /v2/models/identity_fp32/infer HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
        b"POST /v2/models/identity_fp32/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_hostile_heads_end_their_connection_and_nothing_else(zoo: Server, rest: Rest, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", zoo.http_port), timeout=20) as hostile:
        try:
            hostile.sendall(head)
            hostile.shutdown(socket.SHUT_WR)
            said = hostile.recv(65536)
        except OSError:
            said = b""
    assert said == b"" or b" 4" in said.split(b"\r\n")[0] or b" 5" in said.split(b"\r\n")[0]
    assert rest.post(INFER, GOOD).status == 200


def test_a_body_that_is_too_large_by_its_own_word(zoo: Server) -> None:
    with socket.create_connection(("127.0.0.1", zoo.http_port), timeout=20) as client:
        client.sendall(
            b"POST /v2/models/wide/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000000\r\n\r\n"
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
