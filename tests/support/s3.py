"""A real S3 server in a process of its own, and a bucket of it to put models in."""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from support.repository import CONFIG

PREFIX = "team/repository"

#: What the server under test finds in its environment.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}

#: Other names to come under: one that may do nothing, one that may not read objects called "secret", and one
#: that nobody knows.
NOBODY = "nobody"
READER = "reader"
STRANGER = "stranger"

#: A process of its own, so that neither its threads nor its patches of botocore are in the test's. moto
#: grants everybody everything; who may not do what is put in front of it.
_SERVER = """
from moto.server import create_backend_app
from werkzeug.serving import make_server

store = create_backend_app("s3")


def guarded(environment, start):
    user = environment.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/")[0]
    code = None
    if user == "stranger":
        code = "InvalidAccessKeyId"
    elif user == "nobody" or (user == "reader" and "secret" in environment["PATH_INFO"]):
        code = "AccessDenied"
    if code is None:
        return store(environment, start)
    start("403 Forbidden", [("Content-Type", "application/xml")])
    return [f"<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>".encode()]


server = make_server("127.0.0.1", 0, guarded, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


_buckets = itertools.count(1)


class S3:
    """A new bucket with an empty repository in it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.bucket = f"models-{next(_buckets)}"
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=CREDENTIALS["AWS_REGION"],
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )
        self.client.create_bucket(Bucket=self.bucket)

    @property
    def location(self) -> str:
        """The repository, as the command line takes it."""
        return f"s3://127.0.0.1:{self.port}/{self.bucket}/{PREFIX}"

    def put(self, path: str, content: bytes) -> None:
        """Put an object into the repository."""
        self.client.put_object(Bucket=self.bucket, Key=f"{PREFIX}/{path}", Body=content)

    def onnx(self, name: str, model: bytes, *, version: int = 1, config: str = "") -> None:
        """Put an ONNX model there."""
        if config:
            self.put(f"{name}/{CONFIG}", config.encode())
        self.put(f"{name}/{version}/model.onnx", model)

    def remove(self, name: str) -> None:
        """Remove everything below a path."""
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{PREFIX}/{name}")
        for each in found.get("Contents", ()):
            self.client.delete_object(Bucket=self.bucket, Key=each["Key"])

    def drop_bucket(self) -> None:
        """Remove the bucket."""
        self.remove("")
        self.client.delete_bucket(Bucket=self.bucket)


@contextmanager
def serving_s3(log: Path) -> Iterator[int]:
    """A server for as long as the block lasts; yields its port."""
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, log.read_text()
        yield int(line)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
