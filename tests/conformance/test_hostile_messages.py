"""Message prefixes that lie, compression that is none, deadlines that only the server keeps."""

import gzip
import zlib

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support.client import Client, floats, request
from support.http2 import Connection, grpc_fields, prefixed
from support.server import Server

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
LIVE = "/inference.GRPCInferenceService/ServerLive"

GIGABYTE = 1 << 30
MEGABYTE = 1 << 20


def scaled() -> bytes:
    return request("scale", x=floats(1, 2)).SerializeToString()


@pytest.mark.parametrize("path", [INFER, STREAM])
def test_two_gigabytes_announced_and_half_closed(connection: Connection, target: Server, path: str) -> None:
    before = target.resident_bytes()
    stream = connection.headers(grpc_fields(path))
    connection.data(stream, prefixed(b"abc", length=2 * GIGABYTE - 1), end=True)
    answer = connection.response(stream)
    assert answer.grpc_status == grpc.StatusCode.INVALID_ARGUMENT
    assert "within a message" in answer.grpc_message
    assert target.resident_bytes() - before < 64 * MEGABYTE


def test_two_gigabytes_announced_and_silence(connection: Connection, target: Server) -> None:
    before = target.resident_bytes()
    for _ in range(200):
        stream = connection.headers(grpc_fields(INFER))
        connection.data(stream, prefixed(b"abc", length=2 * GIGABYTE - 1))
    # The connection itself goes on.
    assert connection.response(connection.grpc(LIVE, b"")).grpc_status == grpc.StatusCode.OK
    assert target.resident_bytes() - before < 128 * MEGABYTE


def test_silence_ends_with_the_deadline_of_the_caller(connection: Connection) -> None:
    stream = connection.headers(grpc_fields(INFER, grpc_timeout="200m"))
    connection.data(stream, prefixed(b"abc", length=1000))
    assert connection.response(stream).grpc_status == grpc.StatusCode.DEADLINE_EXCEEDED


def test_headers_and_silence_end_with_the_deadline_too(connection: Connection) -> None:
    stream = connection.headers(grpc_fields(STREAM, grpc_timeout="200m"))
    assert connection.response(stream).grpc_status == grpc.StatusCode.DEADLINE_EXCEEDED


def test_more_than_the_limit_is_exhaustion(connection: Connection) -> None:
    stream = connection.headers(grpc_fields(INFER))
    connection.data(stream, prefixed(b"abc", length=4 * GIGABYTE - 1))
    assert connection.response(stream).grpc_status == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\0\0\0"], ids=["nothing", "one byte", "four bytes"])
def test_less_than_a_prefix(connection: Connection, content: bytes) -> None:
    stream = connection.headers(grpc_fields(INFER))
    connection.data(stream, content, end=True)
    answer = connection.response(stream)
    assert answer.grpc_status in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED)
    assert answer.grpc_message


def test_two_messages_where_one_belongs(connection: Connection) -> None:
    stream = connection.headers(grpc_fields(INFER))
    connection.data(stream, prefixed(scaled()) * 2, end=True)
    answer = connection.response(stream)
    assert answer.grpc_status in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED)


def test_a_message_in_many_pieces_is_one_message(connection: Connection) -> None:
    stream = connection.headers(grpc_fields(INFER))
    whole = prefixed(scaled())
    for at in range(len(whole)):
        connection.data(stream, whole[at : at + 1], end=at == len(whole) - 1)
    answer = connection.response(stream)
    assert answer.grpc_status == grpc.StatusCode.OK
    assert pb.ModelInferResponse.FromString(answer.data[5:]).model_name == "scale"


def test_many_messages_in_one_frame_are_all_answered(connection: Connection) -> None:
    stream = connection.headers(grpc_fields(STREAM))
    connection.data(stream, prefixed(scaled()) * 50, end=True)
    answer = connection.response(stream)
    assert answer.grpc_status == grpc.StatusCode.OK
    assert answer.data.count(b"scale") == 50


@pytest.mark.parametrize("path", [INFER, STREAM])
def test_the_compressed_flag_without_an_encoding_is_internal(connection: Connection, path: str) -> None:
    # gRPC's specification of compression asks for this code.
    stream = connection.headers(grpc_fields(path))
    connection.data(stream, prefixed(gzip.compress(scaled()), flag=1), end=True)
    answer = connection.response(stream)
    assert answer.grpc_status == grpc.StatusCode.INTERNAL
    assert "compressed" in answer.grpc_message


@pytest.mark.parametrize("path", [INFER, STREAM])
def test_an_unknown_encoding_is_unimplemented_and_the_known_are_listed(
    connection: Connection, path: str
) -> None:
    stream = connection.grpc(path, scaled(), grpc_encoding="zstd")
    answer = connection.response(stream)
    assert answer.grpc_status == grpc.StatusCode.UNIMPLEMENTED
    assert "zstd" in answer.grpc_message
    accepted = (answer.headers | answer.trailers)["grpc-accept-encoding"]
    assert set(accepted.split(",")) >= {"identity", "gzip", "deflate"}


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_an_encoding_is_allowed_to_be_used_or_not(
    connection: Connection, encoding: str, compress: object
) -> None:
    assert callable(compress)
    for message in (prefixed(scaled()), prefixed(compress(scaled()), flag=1)):
        stream = connection.headers(grpc_fields(INFER, grpc_encoding=encoding))
        connection.data(stream, message, end=True)
        assert connection.response(stream).grpc_status == grpc.StatusCode.OK


@pytest.mark.parametrize("flag", [2, 127, 255])
def test_a_flag_that_is_neither_is_refused(connection: Connection, flag: int) -> None:
    stream = connection.headers(grpc_fields(INFER))
    connection.data(stream, prefixed(scaled(), flag=flag), end=True)
    answer = connection.response(stream)
    assert answer.grpc_status in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_garbage_is_refused(connection: Connection, encoding: str) -> None:
    stream = connection.headers(grpc_fields(INFER, grpc_encoding=encoding))
    connection.data(stream, prefixed(b"no such thing as compression", flag=1), end=True)
    answer = connection.response(stream)
    assert answer.grpc_status in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)
    assert "decompress" in answer.grpc_message


def test_half_a_compressed_message_is_refused(connection: Connection) -> None:
    packed = gzip.compress(scaled())
    stream = connection.headers(grpc_fields(INFER, grpc_encoding="gzip"))
    connection.data(stream, prefixed(packed[: len(packed) // 2], flag=1), end=True)
    answer = connection.response(stream)
    assert answer.grpc_status in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)


@pytest.mark.parametrize("timeout", ["", "abc", "1", "1x", "-1S", "123456789S", "1.5S"])
def test_a_deadline_that_cannot_be_read_does_no_harm(connection: Connection, timeout: str) -> None:
    answer = connection.response(connection.grpc(LIVE, b"", grpc_timeout=timeout))
    assert answer.grpc_status in (
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.INTERNAL,
    )


@pytest.mark.parametrize("timeout", ["0n", "0S", "1n"])
def test_a_deadline_that_is_over_is_kept(connection: Connection, timeout: str) -> None:
    answer = connection.response(connection.grpc(INFER, scaled(), grpc_timeout=timeout))
    assert answer.grpc_status == grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("timeout", ["99999999H", "99999999S", "99999999n"])
def test_a_deadline_far_away_is_one(connection: Connection, timeout: str) -> None:
    answer = connection.response(connection.grpc(INFER, scaled(), grpc_timeout=timeout))
    assert answer.grpc_status == grpc.StatusCode.OK


def test_metadata_that_is_no_text_does_no_harm(connection: Connection, bystander: Client) -> None:
    assert bystander
    answer = connection.response(
        connection.grpc(LIVE, b"", triton_grpc_error="\xff\xfe", grpc_encoding="\xff")
    )
    assert answer.grpc_status == grpc.StatusCode.UNIMPLEMENTED
