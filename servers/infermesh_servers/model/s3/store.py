"""Lists and copies the objects of one location, and says in one sentence why it cannot."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infermesh.errors import ConfigurationError

from infermesh_servers.model.s3.location import Location

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

CONNECT_SECONDS = 5
READ_SECONDS = 20
ATTEMPTS = 3
CHUNK_BYTES = 1 << 20
#: Copies at a time, over everything that a location is asked for.
PARALLEL = 8

_REFUSED = {"AccessDenied", "403", "AllAccessDisabled", "AccountProblem"}
_CREDENTIALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_CHANGED = {"PreconditionFailed", "412", "NoSuchKey", "404"}


class ChangedError(Exception):
    """An object is not what it was when it was listed."""


class ObjectError(Exception):
    """One object cannot be copied, which says nothing about the others."""


@dataclass(frozen=True, order=True)
class StoredObject:
    """``path`` is below the location; ``etag`` changes with the content."""

    path: str
    etag: str
    size: int


class Store:
    """One bucket, below one prefix. Methods raise ConfigurationError where it is the storage that fails."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._client = _client(location)

    def check(self) -> None:
        """Ask for one object, to see whether there is a bucket that answers."""
        with self._translated():
            self._client.list_objects_v2(
                Bucket=self._location.bucket, Prefix=self._location.prefix, MaxKeys=1
            )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def list(self, below: str = "") -> list[StoredObject]:
        """Return every object below a path, by path."""
        prefix = self._location.prefix + below
        with self._translated():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._location.bucket, Prefix=prefix
            )
            return [
                StoredObject(
                    each["Key"].removeprefix(self._location.prefix), each["ETag"].strip('"'), each["Size"]
                )
                for page in pages
                for each in page.get("Contents", ())
            ]

    def copy(self, source: StoredObject, target: Path, progress: Callable[[int], None]) -> None:
        """Copy one object to a new file; ``progress`` is called with the size of each piece.

        Raises ChangedError if it is not what was listed, ObjectError if it alone is refused.
        """
        with self._translated(source):
            answer = self._client.get_object(
                Bucket=self._location.bucket, Key=self._location.prefix + source.path, IfMatch=source.etag
            )
            written = 0
            with closing(answer["Body"]) as body, target.open("xb") as file:
                for chunk in body.iter_chunks(CHUNK_BYTES):
                    written += file.write(chunk)
                    progress(len(chunk))
        if written != source.size:
            raise ChangedError(source.path)

    @contextmanager
    def _translated(self, source: StoredObject | None = None) -> Iterator[None]:
        from botocore import exceptions

        where = f"the model repository {self._location}"
        try:
            yield
        except exceptions.ClientError as error:
            raise self._refusal(error, source) from error
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise ConfigurationError(
                f"{where} needs credentials, and none were found",
                hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile with AWS_PROFILE",
            ) from error
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise ConfigurationError(f"{where} cannot be reached: {error}") from error
        except exceptions.BotoCoreError as error:
            raise ConfigurationError(f"{where} cannot be read: {error}") from error

    def _refusal(self, error: "ClientError", source: StoredObject | None) -> Exception:
        where = f"the model repository {self._location}"
        details = error.response.get("Error", {})
        code, message = str(details.get("Code", "")), details.get("Message", "")
        if code == "NoSuchBucket" or (source is None and code == "404"):
            return ConfigurationError(f"{where} does not exist: there is no bucket {self._location.bucket}")
        if code in _CREDENTIALS:
            return ConfigurationError(f"{where} refuses the credentials: {message or code}")
        if source is not None and code in _CHANGED:
            return ChangedError(source.path)
        if source is not None:
            return ObjectError(f"{source.path} ({message or code})")
        if code in _REFUSED:
            return ConfigurationError(
                f"{where} may not be read with these credentials: {message or code}",
                hint="s3:ListBucket and s3:GetObject are needed",
            )
        return ConfigurationError(f"{where} cannot be read: {message or code}")


def _client(location: Location) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise ConfigurationError(
            f"the model repository {location} needs boto3", hint="install infermesh-servers[s3]"
        ) from error
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=2 * PARALLEL,
        # A server of one's own has no name for each bucket.
        s3={"addressing_style": "path" if location.endpoint else "auto"},
    )
    try:
        session = boto3.session.Session()
        region = session.region_name or "us-east-1"
        return session.client("s3", endpoint_url=location.endpoint, region_name=region, config=config)
    except BotoCoreError as error:
        raise ConfigurationError(f"the model repository {location} cannot be opened: {error}") from error
